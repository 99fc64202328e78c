"""ReZero."""

import torch
from torch import Tensor, nn

from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import NormFactory, Sublayer


class ReZero(Residual):
    """x + a f(norm(x)), a learned from 0: every layer begins as the identity.

        x --+-- norm -- f -- dropout -- * a --+-- (Bachlechner et al. 2020)
            +---------------------------------+

    The paper has no norms: norm=none. Narang et al. (2021) try it with them too.

    Shape: (B, T, D) -> (B, T, D).
    """

    needs_final_norm = True

    def __init__(self, dim: int, *, norm: NormFactory, dropout: float = 0.0) -> None:
        super().__init__(dim, norm=norm, dropout=dropout)
        self.a = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        return x + self.a * self.dropout(f(self.norm(x)))
