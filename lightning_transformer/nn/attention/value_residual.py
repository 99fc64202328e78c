"""Attention with a residual of the first layer's values (Zhou et al. 2024)."""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.layer_info import LayerInfo


class ValueResidual(MultiHeadAttention):
    """Attention whose later layers mix their values with those of the first (Zhou et al. 2024).

        v_l <- mix_1 v_l + mix_2 v_1, both learned, 0.5 at first

    The first layer is plain and has no such weights. Cross-attention mixes in the values that the
    first cross-attention made of the source. The cache holds mixed values.

    Shape: x (B, T, D) -> (B, T, D), with memory (B, S, D) as in MultiHeadAttention.
    """

    mix: nn.Parameter | None

    def __init__(self, dim: int, **heads: Any) -> None:
        super().__init__(dim, **heads)
        self.register_parameter("mix", None)

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        if info.unshared_layer("attention=value_residual"):
            self.mix = nn.Parameter(torch.full((2,), 0.5))
        return self

    def values(self, source: Tensor, context: AttentionContext) -> Tensor:
        own = super().values(source, context)
        if self.mix is None:
            # Activation checkpointing computes this again; later layers keep the first tensor.
            if context.shared.first_values is None:
                context.shared.first_values = own
            return own
        first = context.shared.first_values
        if first is None:
            raise ValueError(
                "attention=value_residual mixes in the values of the first layer, which must have "
                "this attention too"
            )
        return self.mix[0] * own + self.mix[1] * first
