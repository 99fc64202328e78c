"""LayerScale."""

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import NormFactory, Sublayer


class LayerScale(Residual):
    """x + g * f(norm(x)), one learned factor per channel that starts small.

        x --+-- norm -- f -- * g -- dropout --+-- (Touvron et al. 2021, CaiT)
            +---------------------------------+

    start: of all factors; the paper takes 0.1 up to 18 layers, 1e-5 for 24, 1e-6 for more.

    Shape: (B, T, D) -> (B, T, D).
    """

    needs_final_norm = True

    def __init__(
        self, dim: int, *, norm: NormFactory, start: float = 0.1, dropout: float = 0.0
    ) -> None:
        super().__init__(dim, norm=norm, dropout=dropout)
        checks.positive("start", start, 0.1)
        self.scale = nn.Parameter(torch.full((dim,), start))

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        return x + self.dropout(self.scale * f(self.norm(x)))
