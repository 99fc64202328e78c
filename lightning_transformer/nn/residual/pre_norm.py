"""Pre-norm."""

from torch import Tensor

from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import Sublayer


class PreNorm(Residual):
    """x + f(norm(x)): the stream itself is never normalised, so a final norm is due.

        x --+-- norm -- f -- dropout --+-- (Xiong et al. 2020)
            +--------------------------+

    Shape: (B, T, D) -> (B, T, D).
    """

    needs_final_norm = True

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        return x + self.dropout(f(self.norm(x)))
