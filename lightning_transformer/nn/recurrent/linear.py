"""Linear attention (Katharopoulos et al. 2020)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.heads import head_width, join_heads, split_heads
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.linear import QueryKey, ResidualOut
from lightning_transformer.nn.recurrent.base import (
    Recurrent,
    RecurrentCache,
    RowOrder,
    to_float32,
)
from lightning_transformer.nn.recurrent.chunked_scan import decayed_sums


class LinearAttention(Recurrent):
    """Linear attention (Katharopoulos et al. 2020): work that grows as T, not T^2.

    y_t = f(q_t) S / (f(q_t) z + eps) with f(x) = elu(x) + 1, S = sum_s f(k_s)^T v_s and
    z = sum_s f(k_s)^T, over the tokens that t may see: the past, the complete row, or a source.

    Raises ValueError where d_model has no n_heads equal parts.
    Shape: x (B, T, D) -> (B, T, D); with memory (B, S, D) keys and values come from there.
    """

    option = "linear"

    def __init__(
        self,
        dim: int,
        *,
        n_heads: int = 4,
        bias: bool = False,
        eps: float = 1e-6,
        chunk_size: int = 64,
    ) -> None:
        super().__init__()
        checks.at_least("chunk_size", chunk_size, 1)
        checks.non_negative("eps", eps, 1e-6)
        self.n_heads, self.head_dim = n_heads, head_width(dim, n_heads)
        self.eps, self.chunk_size, self.causal = eps, chunk_size, True
        self.q, self.k = QueryKey(dim, dim, bias=bias), QueryKey(dim, dim, bias=bias)
        self.v, self.out = nn.Linear(dim, dim, bias=bias), ResidualOut(dim, dim, bias=bias)

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        self.causal = info.causal
        return self

    def flops(self, keys: float) -> float:
        """Of sums and of reading them, for one query, where causal rows have 2 keys - 1 tokens."""
        size = min(self.chunk_size, 2 * keys - 1) if self.causal else 0
        width, pairs = self.head_dim + 1, 2 * size * (2 * self.head_dim + 1)
        return self.n_heads * (4 * self.head_dim * width + pairs)

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None = None,
        cache: RecurrentCache | None = None,
    ) -> Tensor:
        if memory is None:
            return super().forward(x, context, cache=cache)
        past = cache or RecurrentCache()
        if past.state is None:  # the source does not change while decoding
            # (B, 1, 1, S) -> (B, S): which tokens of the source are real
            real = None if context.mask is None else context.mask[:, 0, 0]
            k, v = self._keys(memory, real), self._values(memory)
            with torch.autocast(x.device.type, enabled=False):
                past.state = k.mT @ v
        q = self._features(self.q(x))
        with torch.autocast(x.device.type, enabled=False):
            sums = q @ past.state
        return self._read(sums, x)

    def mix(self, x: Tensor, row: RowOrder, past: RecurrentCache) -> Tensor:
        q, k, v = self._features(self.q(x)), self._keys(x, row.real), self._values(x)
        with torch.autocast(x.device.type, enabled=False):
            if self.causal:
                sums, past.state = self._sums(q, k, v, row.documents, past.state)
            elif row.documents is None:
                sums = q @ (k.mT @ v)
            else:  # the past, and what comes after; a token itself is part of both
                before, _ = self._sums(q, k, v, row.documents)
                ahead, _ = self._sums(q.flip(2), k.flip(2), v.flip(2), row.documents.flip(1))
                sums = before + ahead.flip(2) - (q * k).sum(dim=-1, keepdim=True) * v
        return self._read(sums, x)

    def _sums(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        documents: Tensor | None,
        state: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        kept = q.new_zeros(1, 1, q.shape[2])  # log 1: nothing decays
        return decayed_sums(
            q, k, v, kept, documents=documents, state=state, chunk_size=self.chunk_size
        )

    def _features(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, H, T, K), elu(x) + 1 without the rounding of exp(x) - 1 + 1."""
        heads = to_float32(split_heads(x, self.head_dim))
        return heads.clamp(max=0).exp() + heads.relu()

    def _keys(self, x: Tensor, real: Tensor | None) -> Tensor:
        """(B, S, D) -> (B, H, S, K), 0 at pads."""
        k = self._features(self.k(x))
        return k if real is None else k * real[:, None, :, None]

    def _values(self, x: Tensor) -> Tensor:
        """(B, S, D) -> (B, H, S, K + 1): values, and a 1 that adds up to the divisor."""
        return F.pad(to_float32(split_heads(self.v(x), self.head_dim)), (0, 1), value=1.0)

    def _read(self, sums: Tensor, x: Tensor) -> Tensor:
        """Sums (B, H, T, K + 1), the last of them the divisor -> (B, T, D)."""
        y = sums[..., :-1] / (sums[..., -1:] + self.eps)
        return self.out(join_heads(y.to(x.dtype)))
