"""Patterns: which keys a query may see, as predicates of positions. True = may attend.

A pattern has no weights and is a frozen value, so that layers with equal patterns share one mask.
The same predicate serves training, where queries and keys form a square, and cached decoding.
Which documents of a packed row see each other is not a pattern: that depends on the data, see
packing=documents.
"""

from dataclasses import dataclass

from torch import Tensor


class Pattern:
    """Contract: `pattern(queries, keys)` with positions that broadcast, (T, 1) and (1, S)."""

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        raise NotImplementedError

    def __and__(self, other: "Pattern") -> "Pattern":
        return And(self, other)

    def for_layer(self, layer: int) -> "Pattern":
        """The pattern of one layer, counted from 0."""
        return self

    def prefix(self) -> int:
        """How many tokens at the start of a row see each other both ways in a causal model."""
        return 0

    def reach(self) -> int | None:
        """How many tokens back, itself included, a query of a causal model sees; None = all."""
        return None

    def in_past(self) -> "Pattern":
        """The pattern as a causal model uses it."""
        return self & Causal(self.prefix())


@dataclass(frozen=True)
class And(Pattern):
    """The intersection of two patterns, layer by layer."""

    a: Pattern
    b: Pattern

    def __post_init__(self) -> None:
        for name, part in (("a", self.a), ("b", self.b)):
            if not isinstance(part, Pattern):
                raise ValueError(f"pattern.{name}={part}: write pattern@pattern.{name}={part}")

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        return self.a(queries, keys) & self.b(queries, keys)

    def for_layer(self, layer: int) -> Pattern:
        return self.a.for_layer(layer) & self.b.for_layer(layer)

    def prefix(self) -> int:
        # A pattern without a prefix (0) does not limit that of the other.
        return min(filter(None, (self.a.prefix(), self.b.prefix())), default=0)

    def reach(self) -> int | None:
        # A loop over a generator or filter would break the graph of compiled code.
        reaches = [r for r in (self.a.reach(), self.b.reach()) if r is not None]
        return min(reaches) if reaches else None


@dataclass(frozen=True)
class Causal(Pattern):
    """Itself and the past, and what the first n_prefix see of each other.

    Added by the architecture, not chosen.
    """

    n_prefix: int = 0

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        last = queries.clamp(min=self.n_prefix - 1) if self.n_prefix else queries
        return keys <= last
