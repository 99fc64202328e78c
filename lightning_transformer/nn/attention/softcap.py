"""Attention with soft-capped scores (Gemma 2, 2024)."""

from typing import Any

from lightning_transformer.nn import checks
from lightning_transformer.nn.attention.kernels.base import ScoreMods, require
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention


class Softcap(MultiHeadAttention):
    """Attention whose scores s cannot grow beyond a cap: cap tanh(s / cap) (Gemma 2, 2024).

    The cap acts on scaled scores, before bias and mask.

    Shape: x (B, T, D) -> (B, T, D), with memory (B, S, D) as in MultiHeadAttention.
    """

    needs = frozenset({"softcap"})

    def __init__(self, dim: int, *, cap: float = 50.0, **heads: Any) -> None:
        super().__init__(dim, **heads)
        checks.positive("cap", cap, 50.0)
        require(self.kernel, self.needs, "softcap")
        self.score_mods = ScoreMods(softcap=float(cap))
