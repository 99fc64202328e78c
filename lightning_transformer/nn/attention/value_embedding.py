"""Attention with embeddings of the tokens in its values (Jordan et al. 2024)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.embedding.base import look_up
from lightning_transformer.nn.heads import split_heads
from lightning_transformer.nn.layer_info import LayerInfo


class ValueEmbedding(MultiHeadAttention):
    """Attention that adds a vector of the token to its values (Jordan et al. 2024, modded-nanogpt).

        v_t <- mix_1 v_t + mix_2 E[token t], both learned, 0.5 at first

    E (V, width of all values) is a second embedding of the token, of this layer alone: many
    parameters, and no product. A cousin of attention=value_residual, which mixes in what the first
    layer made of the token (Zhou et al. 2024). With every > 1 the last layer has a table and each
    every-th before it, and the others are plain. Cross-attention is plain. The cache holds mixed
    values. Memory tokens have no id: E is 0 there.

    Raises ValueError in a stack that is given no token ids.
    Shape: x (B, T, D) -> (B, T, D), with memory (B, S, D) as in MultiHeadAttention.
    """

    table: nn.Embedding | None
    mix: nn.Parameter | None

    def __init__(self, dim: int, *, every: int = 1, **heads: Any) -> None:
        super().__init__(dim, **heads)
        checks.at_least("every", every, 1)
        self.every, self.table = every, None
        self.register_parameter("mix", None)

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        if info.cross:
            return self
        if not info.vocab_size:
            raise ValueError(
                "attention=value_embedding looks up the ids of tokens, and this stack is given "
                "vectors alone; use attention=value_residual"
            )
        if self.every > 1:
            layer = info.unshared_layer(f"attention.every={self.every}")
            if (info.n_layers - 1 - layer) % self.every:
                return self
        self.table = nn.Embedding(info.vocab_size, self.n_kv_heads * self.head_dim)
        self.mix = nn.Parameter(torch.full((2,), 0.5))
        return self

    def values(self, source: Tensor, context: AttentionContext) -> Tensor:
        own = super().values(source, context)
        if self.table is None or self.mix is None:
            return own
        if context.ids is None:
            raise ValueError(
                "attention=value_embedding needs the ids of the tokens: stack(x, ids=ids)"
            )
        of_token = split_heads(look_up(self.table, context.ids), self.head_dim).to(own.dtype)
        of_token = F.pad(of_token, (0, 0, own.shape[2] - of_token.shape[2], 0))
        return self.mix[0] * own + self.mix[1] * of_token
