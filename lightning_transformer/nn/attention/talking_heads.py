"""Talking-heads attention (Shazeer et al. 2020)."""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import ScoreMods, require
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention


class TalkingHeads(MultiHeadAttention):
    """Attention whose heads mix before and after the softmax (Shazeer et al. 2020).

        weights = after softmax(before s), with s (B, H, T, S), before and after (H, H)

    Bias and mask are added to the mixed scores. Both matrices start as the identity, so as plain
    attention.

    Shape: x (B, T, D) -> (B, T, D), with memory (B, S, D) as in MultiHeadAttention.
    """

    needs = frozenset({"mix_scores", "mix_weights"})

    def __init__(self, dim: int, **heads: Any) -> None:
        super().__init__(dim, **heads)
        require(self.kernel, self.needs, "talking_heads")
        self.before = nn.Parameter(torch.eye(self.n_heads))
        self.after = nn.Parameter(torch.eye(self.n_heads))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        score_mods = ScoreMods(
            mix_scores=lambda s: _mixed(self.before, s), mix_weights=lambda w: _mixed(self.after, w)
        )
        return self.kernel(q, k, v, context, dropout, score_mods)

    def flops(self, keys: float) -> float:
        """Of the two mixings besides scores and weighted sum, for one query."""
        return super().flops(keys) + 4 * self.n_heads**2 * keys


def _mixed(matrix: Tensor, x: Tensor) -> Tensor:
    """Head i of the result is the sum over j of matrix[i, j] times head j of x (B, H, T, S)."""
    return torch.einsum("ij,bjts->bits", matrix.to(x.dtype), x)
