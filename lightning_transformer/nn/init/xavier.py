"""Xavier initialisation (Glorot & Bengio 2010)."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.init.base import NormalTables, StackInfo


@dataclass(frozen=True)
class Xavier(NormalTables):
    """U(-a, a) with a = gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010).

    Keeps the size of activations and of gradients in a linear network. The original transformer's.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("gain", self.gain, 1.0)

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.xavier_uniform_(weight, gain=self.gain, generator=generator)
