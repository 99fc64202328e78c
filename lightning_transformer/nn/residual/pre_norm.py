"""Pre-norm."""

from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import NormFactory, Sublayer


class PreNorm(Residual):
    """x + f(norm(x)): the stream itself is never normalised, so a final norm is due.

        x --+-- norm -- f -- dropout --+-- (Xiong et al. 2020)
            +--------------------------+

    Shape: (B, T, D) -> (B, T, D).
    """

    needs_final_norm = True

    def __init__(self, dim: int, *, norm: NormFactory, dropout: float = 0.0) -> None:
        super().__init__()
        checks.fraction("dropout", dropout)
        self.norm, self.dropout = norm(dim), nn.Dropout(dropout)

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        return x + self.dropout(f(self.norm(x)))
