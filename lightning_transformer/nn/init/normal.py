"""Normal initialisation (Radford et al. 2018)."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.init.base import NormalTables, StackInfo


@dataclass(frozen=True)
class Normal(NormalTables):
    """Every weight from N(0, std^2) (Radford et al. 2018; Devlin et al. 2019)."""

    std: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("std", self.std, 0.02)

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.normal_(weight, std=self.std, generator=generator)
