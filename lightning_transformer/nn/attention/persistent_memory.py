"""Attention with persistent memory (Sukhbaatar et al. 2019)."""

from typing import Any

from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.attention.context import AttentionContext, attend_behind
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention


class PersistentMemory(MultiHeadAttention):
    """Attention over n_memory learned keys and values besides the row's (Sukhbaatar et al. 2019).

        softmax(q [m_k; k]^T / sqrt(K)) [m_v; v], m_k and m_v learned, those of this layer alone

    Each key/value head has its own; every query sees them, in cross-attention too, and no bias is
    added to their scores. Rotation leaves them alone: they are keys at position 0. The paper drops
    the feed-forward layers for it (block=attention_only). Memory tokens in the row itself (Burtsev
    et al. 2020), which go through all layers, are another method: memory_tokens=learned.

    Shape: x (B, T, D) -> (B, T, D), with memory (B, S, D) as in MultiHeadAttention.
    """

    def __init__(self, dim: int, *, n_memory: int = 16, **heads: Any) -> None:
        super().__init__(dim, **heads)
        checks.at_least("n_memory", n_memory, 1)
        self.n_memory, width = n_memory, self.n_kv_heads * self.head_dim
        self.memory_k, self.memory_v = nn.Embedding(n_memory, width), nn.Embedding(n_memory, width)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext) -> Tensor:
        learned = self.memory_k.weight, self.memory_v.weight
        return attend_behind(super().attend, q, k, v, context, *learned)

    def flops(self, keys: float) -> float:
        """Of scores and weighted sum, memory included, for one query."""
        return super().flops(keys + self.n_memory)
