"""Normal initialisation scaled by depth at residual outputs."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from lightning_transformer.nn.init.base import StackInfo
from lightning_transformer.nn.init.normal import Normal


@dataclass(frozen=True)
class DepthScaled(Normal):
    """N(0, std^2), outputs into the residual stream N(0, std^2 / n), n = additions to the stream.

    The stream then keeps its size as depth grows (Radford et al. 2019, GPT-2: n = 2 n_layers).
    """

    def residual_out(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.normal_(weight, std=self.std / info.n_residuals**0.5, generator=generator)
