"""Zero initialisation of residual outputs."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.init.base import NormalTables, StackInfo


@dataclass(frozen=True)
class ZeroOut(NormalTables):
    """Zero for what is added to the residual stream, N(0, std^2) for all else.

    Every pre-norm layer begins as the identity (Goyal et al. 2017 for the last gain of a block;
    Zhang et al. 2019; the GPT-2 speed runs since 2024). An untied head is not zero here.
    """

    std: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("std", self.std, 0.02)

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.normal_(weight, std=self.std, generator=generator)

    def residual_out(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.zeros_(weight)
