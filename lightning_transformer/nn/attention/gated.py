"""Attention with an output gate."""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.linear import HeadGate


class Gated(MultiHeadAttention):
    """Attention whose heads are gated before they are joined: out(y * sigmoid(gate(x))).

    y are the heads, x the layer's input (Qiu et al. 2025: the input after the norm). With
    per_head, one gate for each head; otherwise one for each of its K numbers, as in Qwen3-Next.

    Shape: x (B, T, D) -> (B, T, D), with memory (B, S, D) as in MultiHeadAttention.
    """

    def __init__(self, dim: int, *, per_head: bool = False, **heads: Any) -> None:
        super().__init__(dim, **heads)
        layer = HeadGate if per_head else nn.Linear
        width = self.n_heads if per_head else self.n_heads * self.head_dim
        self.gate = layer(dim, width, bias=self.out.bias is not None)

    def join(self, y: Tensor, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(x)).unflatten(-1, (self.n_heads, -1))  # (B, T, H, K or 1)
        return super().join(y * gate.transpose(1, 2), x)
