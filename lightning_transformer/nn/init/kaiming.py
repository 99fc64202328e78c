"""Kaiming initialisation (He et al. 2015)."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.init.base import NormalTables, StackInfo


@dataclass(frozen=True)
class Kaiming(NormalTables):
    """N(0, gain^2 / fan_in) (He et al. 2015; their gain for ReLU is sqrt(2)).

    Keeps the size of activations through layers that a rectifier follows.
    """

    gain: float = 2**0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("gain", self.gain, 1.4142)

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.normal_(weight, std=self.gain / weight.shape[1] ** 0.5, generator=generator)
