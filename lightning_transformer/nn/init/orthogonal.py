"""Orthogonal initialisation."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.init.base import NormalTables, StackInfo


@dataclass(frozen=True)
class Orthogonal(NormalTables):
    """gain times a random orthogonal matrix; of one that is not square, the longer side's part.

    W W^T or W^T W = gain^2 I, whichever is smaller (Saxe et al. 2014): no direction grows or
    shrinks on its way through.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("gain", self.gain, 1.0)

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.orthogonal_(weight, gain=self.gain, generator=generator)
