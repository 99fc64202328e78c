"""Sandwich norm."""

from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import NormFactory, Sublayer


class Sandwich(Residual):
    """x + norm_out(f(norm_in(x))): what enters and what leaves a layer is normalised.

        x --+-- norm_in -- f -- norm_out -- dropout --+--
            +-----------------------------------------+

    (Ding et al. 2021; Kim et al. 2025, Peri-LN)

    Shape: (B, T, D) -> (B, T, D).
    """

    needs_final_norm = True

    def __init__(self, dim: int, *, norm: NormFactory, dropout: float = 0.0) -> None:
        super().__init__()
        checks.fraction("dropout", dropout)
        self.norm_in, self.norm_out = norm(dim), norm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        return x + self.dropout(self.norm_out(f(self.norm_in(x))))
