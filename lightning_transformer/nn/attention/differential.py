"""Differential attention (Ye et al. 2024)."""

import math
from typing import Any

import torch
from torch import Generator, Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.init.base import Init, StackInfo
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.norm.rmsnorm import RMSNorm


class Differential(MultiHeadAttention):
    """Attention by the difference of two softmaxes, which cancels noise (Ye et al. 2024).

        (1 - lam_init) RMSNorm((softmax(q k^T) - lam softmax(q' k'^T)) [v v'])
        lam = exp(lam_q1 . lam_k1) - exp(lam_q2 . lam_k2) + lam_init, of learned vectors (K,)
        lam_init = 0.8 - 0.6 exp(-0.3 layer), layers counted from 0

    Heads i and i + H/2 are such a pair (q, q'), key/value heads alike. n_heads counts softmaxes, so
    linear layers are as large as without pairs; the norm has one gain (2 K,) for all pairs.

    Shape: x (B, T, D) -> (B, T, D), with memory (B, S, D) as in MultiHeadAttention.
    """

    def __init__(self, dim: int, **heads: Any) -> None:
        super().__init__(dim, **heads)
        for name, n in (("n_heads", self.n_heads), ("n_kv_heads", self.n_kv_heads)):
            if n % 2:
                raise ValueError(
                    f"attention.{name}={n} must be even in attention=differential, where heads are "
                    f"pairs; nearest {n + 1}"
                )
        self.lam_q1, self.lam_k1, self.lam_q2, self.lam_k2 = (
            nn.Parameter(torch.zeros(self.head_dim)) for _ in range(4)
        )
        self.pair_norm = RMSNorm(2 * self.head_dim, eps=1e-5)
        self.lam_init = 0.2

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        self.lam_init = 0.8 - 0.6 * math.exp(-0.3 * info.unshared_layer("attention=differential"))
        return self

    def init_weights(self, scheme: Init, info: StackInfo, generator: Generator) -> None:
        """The vectors of lam have a standard deviation of 0.1 under any scheme."""
        for vector in (self.lam_q1, self.lam_k1, self.lam_q2, self.lam_k2):
            vector.copy_(0.1 * torch.randn(vector.shape, generator=generator))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext) -> Tensor:
        both = torch.cat(v.chunk(2, dim=1), dim=-1).repeat(1, 2, 1, 1)  # (B, G, S, 2K)
        first, second = super().attend(q, k, both, context).chunk(2, dim=1)
        y = self.pair_norm(first - self._lam().to(first.dtype) * second)  # (B, H/2, T, 2K)
        return (1 - self.lam_init) * y

    def flops(self, keys: float) -> float:
        """Of scores and weighted sum of values of twice the width, for one query."""
        return 6 * self.n_heads * self.head_dim * keys

    def _lam(self) -> Tensor:
        wide = torch.promote_types(self.lam_q1.dtype, torch.float32)
        first = (self.lam_q1.to(wide) * self.lam_k1.to(wide)).sum()
        second = (self.lam_q2.to(wide) * self.lam_k2.to(wide)).sum()
        return first.exp() - second.exp() + self.lam_init
