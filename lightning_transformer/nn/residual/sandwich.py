"""Sandwich norm."""

from torch import Tensor

from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import NormFactory, Sublayer


class Sandwich(Residual):
    """x + norm_out(f(norm(x))): what enters and what leaves a layer is normalised.

        x --+-- norm -- f -- norm_out -- dropout --+--
            +--------------------------------------+

    (Ding et al. 2021; Kim et al. 2025, Peri-LN)

    Shape: (B, T, D) -> (B, T, D).
    """

    needs_final_norm = True

    def __init__(self, dim: int, *, norm: NormFactory, dropout: float = 0.0) -> None:
        super().__init__(dim, norm=norm, dropout=dropout)
        self.norm_out = norm(dim)

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        return x + self.dropout(self.norm_out(f(self.norm(x))))
