"""Output norm (OLMo 2)."""

from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import NormFactory, Sublayer


class Reordered(Residual):
    """x + norm(f(x)): what a layer adds is normalised, what it reads is not.

        x --+-- f -- norm -- dropout --+--
            +--------------------------+

    (Liu et al. 2022, Swin v2: res-post-norm; OLMo team 2024, OLMo 2: with a norm of queries and
    keys)

    Shape: (B, T, D) -> (B, T, D).
    """

    needs_final_norm = True

    def __init__(self, dim: int, *, norm: NormFactory, dropout: float = 0.0) -> None:
        super().__init__()
        checks.fraction("dropout", dropout)
        self.norm, self.dropout = norm(dim), nn.Dropout(dropout)

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        return x + self.dropout(self.norm(f(x)))
