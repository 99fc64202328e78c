"""Output norm (OLMo 2)."""

from torch import Tensor

from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import Sublayer


class Reordered(Residual):
    """x + norm(f(x)): what a layer adds is normalised, what it reads is not.

        x --+-- f -- norm -- dropout --+--
            +--------------------------+

    (Liu et al. 2022, Swin v2: res-post-norm; OLMo team 2024, OLMo 2: with a norm of queries and
    keys)

    Shape: (B, T, D) -> (B, T, D).
    """

    needs_final_norm = True

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        return x + self.dropout(self.norm(f(x)))
