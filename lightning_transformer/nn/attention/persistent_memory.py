"""Attention with persistent memory (Sukhbaatar et al. 2019)."""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.heads import split_heads


class PersistentMemory(MultiHeadAttention):
    """Attention over n_memory learned keys and values besides the row's (Sukhbaatar et al. 2019).

        softmax(q [m_k; k]^T / sqrt(K)) [m_v; v], m_k and m_v learned, those of this layer alone

    Each key/value head has its own; every query sees them, in cross-attention too, and no bias is
    added to their scores. Rotation leaves them alone: they are keys at position 0. The paper drops
    the feed-forward layers for it (block=attention_only). Memory tokens in the row itself (Burtsev
    et al. 2020) are another method: they would be read through all layers, and be no targets.

    Shape: x (B, T, D) -> (B, T, D), with memory (B, S, D) as in MultiHeadAttention.
    """

    def __init__(self, dim: int, *, n_memory: int = 16, **heads: Any) -> None:
        super().__init__(dim, **heads)
        checks.at_least("n_memory", n_memory, 1)
        self.n_memory, width = n_memory, self.n_kv_heads * self.head_dim
        self.memory_k, self.memory_v = nn.Embedding(n_memory, width), nn.Embedding(n_memory, width)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext) -> Tensor:
        n, mask, bias = self.n_memory, context.mask, context.bias
        k, v = self._behind(self.memory_k, k), self._behind(self.memory_v, v)
        if context.is_causal:
            # As many queries in front: the square stays one, and kernels stay fast.
            y = super().attend(F.pad(q, (0, 0, n, 0)), k, v, context)
            return y[:, :, n:]
        mask = None if mask is None else F.pad(mask, (n, 0), value=True)
        bias = None if bias is None else F.pad(bias, (n, 0))
        return super().attend(q, k, v, replace(context, mask=mask, bias=bias))

    def flops(self, keys: float) -> float:
        """Of scores and weighted sum, memory included, for one query."""
        return super().flops(keys + self.n_memory)

    def _behind(self, table: nn.Embedding, x: Tensor) -> Tensor:
        """Keys or values (B, G, S, K) behind those of a table -> (B, G, n_memory + S, K)."""
        learned = split_heads(table.weight[None], self.head_dim)  # (1, G, n_memory, K)
        return torch.cat((learned.to(x.dtype).expand(x.shape[0], -1, -1, -1), x), dim=2)
