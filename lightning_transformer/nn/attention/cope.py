"""Attention with contextual positions (Golovneva et al. 2024)."""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import ScoreMods, require
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.layer_info import LayerInfo


class CoPE(MultiHeadAttention):
    """Attention that counts what matters between key and query (Golovneva et al. 2024, CoPE).

        g_ij = sigmoid(s_ij)                                     does key j count for query i?
        p_ij = g_ij + ... + g_ii, n_positions - 1 at most        the position of key j
        weights = softmax(s_ij + q_i . e(p_ij))

    with scores s and vectors e of whole positions; between two of them, what they give is
    interpolated. The heads of a layer share e, layers do not. s is scaled, q_i . e is not, as in
    the paper's code. Keys that a query does not see do not count. Causal only, and without a
    rotation; cross-attention, which has no order to count along, is plain.

    Shape: x (B, T, D) -> (B, T, D), with memory (B, S, D) as in MultiHeadAttention.
    """

    needs = frozenset({"mix_scores"})
    past_only = True
    own_positions = True
    table: nn.Embedding | None

    def __init__(self, dim: int, *, n_positions: int = 64, **heads: Any) -> None:
        super().__init__(dim, **heads)
        checks.at_least("n_positions", n_positions, 2)
        require(self.kernel, self.needs, "cope")
        self.table = nn.Embedding(n_positions, self.head_dim)

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        if info.cross:
            self.table = None
        return self

    def attend(self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext) -> Tensor:
        if self.table is None:
            return super().attend(q, k, v, context)
        of_whole = q @ self.table.weight.to(q.dtype).mT  # (B, H, T, n_positions)
        score_mods = ScoreMods(mix_scores=lambda s: s + _interpolated(of_whole, s, context))
        dropout = self.dropout if self.training else 0.0
        return self.kernel(q, k, v, context, dropout, score_mods)

    def flops(self, keys: float) -> float:
        """Of queries and positions besides scores and weighted sum, for one query."""
        n_positions = 0 if self.table is None else self.table.num_embeddings
        return super().flops(keys) + 2 * self.n_heads * self.head_dim * n_positions


def _interpolated(of_whole: Tensor, scores: Tensor, context: AttentionContext) -> Tensor:
    """What is given at the position of each key: (B, H, T, n_positions), (B, H, T, S) -> latter."""
    gates = scores.sigmoid()
    if context.is_causal:
        gates = gates.tril()
    elif context.mask is not None:
        gates = gates.masked_fill(~context.mask, 0.0)
    last = of_whole.shape[-1] - 1
    position = gates.flip(-1).cumsum(dim=-1).flip(-1).clamp(max=last)
    below = position.floor()
    low = below.long()
    of_whole = of_whole.to(scores.dtype)
    lower, upper = of_whole.gather(-1, low), of_whole.gather(-1, (low + 1).clamp(max=last))
    return torch.lerp(lower, upper, position - below)
