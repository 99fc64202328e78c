"""NormFormer."""

import torch
from torch import Tensor, nn

from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import NormFactory, Sublayer


class NormFormer(Residual):
    """Pre-norm with a norm after attention, and a learned scale of the stream beside the ffn.

        attention: x + norm_out(f(norm(x)))        (Shleifer et al. 2021)
        ffn:       scale * x + f(norm(x)), scale (D,) from 1
        both in one sum (block=parallel): scale * x + norm_out(f(norm(x)))

    Only these two of the paper's parts are residuals. Its scale per head belongs to an attention
    and its norm inside the feed-forward layer to an ffn, and they are not here. The paper has no
    cross-attention; that gets the norm like any attention.

    Shape: (B, T, D) -> (B, T, D).
    """

    needs_final_norm = True

    def __init__(self, dim: int, *, norm: NormFactory, dropout: float = 0.0) -> None:
        super().__init__(dim, norm=norm, dropout=dropout)
        self.norm_out = norm(dim)
        self.scale: nn.Parameter | float = nn.Parameter(torch.ones(dim))

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        if info.sublayer in ("attention", "cross"):
            del self.scale
            self.scale = 1.0
        elif info.sublayer:
            self.norm_out = nn.Identity()
        return self

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        return self.scale * x + self.dropout(self.norm_out(f(self.norm(x))))
