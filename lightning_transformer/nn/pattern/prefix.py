"""Prefix language model (Liu et al. 2018; T5, 2020)."""

from dataclasses import dataclass

from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.pattern.base import Pattern


@dataclass(frozen=True)
class Prefix(Pattern):
    """The first n_prefix tokens of a row see each other both ways (Liu et al. 2018; T5, 2020).

    For causal models: query i sees key j if j <= i or j < n_prefix. Tokens of the prefix, which
    the model sees, are no targets, and prompts have to hold all of it.
    """

    n_prefix: int = 16

    def __post_init__(self) -> None:
        # With one token there is nothing to see that the past does not hold.
        checks.at_least("n_prefix", self.n_prefix, 2)

    def prefix(self) -> int:
        return self.n_prefix

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        return (queries == queries) & (keys == keys)
