"""Normal initialisation scaled by depth at residual outputs."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.init.base import NormalTables, StackInfo


@dataclass(frozen=True)
class DepthScaled(NormalTables):
    """N(0, std^2), outputs into the residual stream N(0, std^2 / n), n = additions to the stream.

    The stream then keeps its size as depth grows (Radford et al. 2019, GPT-2: n = 2 n_layers).
    """

    std: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("std", self.std, 0.02)

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.normal_(weight, std=self.std, generator=generator)

    def residual_out(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.normal_(weight, std=self.std / info.n_residuals**0.5, generator=generator)
