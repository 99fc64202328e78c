"""Patterns: which keys a query may see, as predicates of positions. True = may attend.

A pattern has no weights and is a frozen value, so that layers with equal patterns share one mask.
The same predicate serves training, where all queries stand in a square, and cached decoding.
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


@dataclass(frozen=True)
class And(Pattern):
    """Both at once."""

    a: Pattern
    b: Pattern

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        return self.a(queries, keys) & self.b(queries, keys)


@dataclass(frozen=True)
class Causal(Pattern):
    """Itself and the past. Added by the architecture, not chosen."""

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        return keys <= queries
