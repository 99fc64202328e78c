"""Attention with learned sinks (gpt-oss, 2025)."""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import ScoreMods, require
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention


class Sinks(MultiHeadAttention):
    """Attention with one more key per head, of a learned score and no value (gpt-oss, 2025).

        softmax([s_1, ..., s_S, sink])[:S] v

    A head can so attend to nothing; without a sink it tends to look at the first token instead
    (Xiao et al. 2023). Sinks start at 0: as large as a score of 0.

    Shape: x (B, T, D) -> (B, T, D), with memory (B, S, D) as in MultiHeadAttention.
    """

    needs = frozenset({"sinks"})

    def __init__(self, dim: int, **heads: Any) -> None:
        super().__init__(dim, **heads)
        require(self.kernel, self.needs, "sinks")
        self.sinks = nn.Parameter(torch.zeros(self.n_heads))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        return self.kernel(q, k, v, context, dropout, ScoreMods(sinks=self.sinks))
