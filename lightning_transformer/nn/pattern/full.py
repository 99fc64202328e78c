"""Full attention."""

from dataclasses import dataclass

from torch import Tensor

from lightning_transformer.nn.pattern.base import Pattern


@dataclass(frozen=True)
class Full(Pattern):
    """Every key. With a causal model: every key up to the query."""

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        return (queries == queries) & (keys == keys)

    def __and__(self, other: Pattern) -> Pattern:
        return other
