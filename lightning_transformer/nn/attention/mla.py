"""Multi-head latent attention (DeepSeek-V2, 2024)."""

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import Kernel
from lightning_transformer.nn.cache import KVCache
from lightning_transformer.nn.heads import head_width, join_heads
from lightning_transformer.nn.linear import QueryKey, ResidualOut
from lightning_transformer.nn.types import NormFactory


class MLA(nn.Module):
    """Multi-head latent attention: keys and values are made of a small latent (DeepSeek-V2, 2024).

        c = norm(down x), R wide              [k_nope; v] = up c, for each head
        k_rope = rotate(down' x), r wide, one for all heads
        [q_nope; q_rope] = q_up norm(q_down x), for each head; without q_rank q_up x
        softmax([q_nope; rotate(q_rope)] [k_nope; k_rope]^T scale) v

    The cache holds c and k_rope, R + r numbers per token instead of 2 H K. One token at a time is
    computed on the latents themselves: up is multiplied into the query and the output instead.

    head_dim: of k_nope, null = D / n_heads. rope_dim: r, the width that positions rotate, null =
    head_dim / 2. value_dim: of v, null = head_dim. kv_rank: R, null = 4 head_dim. scale: null =
    1 / sqrt(head_dim + rope_dim). bias: of the layers down and of the output. qk_norm is the norm
    of both latents, so of values too: rmsnorm in DeepSeek-V2.
    Shape: x (B, T, D) -> (B, T, D); with memory (B, S, D) keys and values come from there.
    """

    has_scores = True

    def __init__(
        self,
        dim: int,
        *,
        kernel: Kernel,
        qk_norm: NormFactory,
        n_heads: int = 4,
        head_dim: int | None = None,
        rope_dim: int | None = None,
        value_dim: int | None = None,
        kv_rank: int | None = None,
        q_rank: int | None = None,
        scale: float | None = None,
        bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        checks.at_least("n_heads", n_heads, 1)
        checks.fraction("dropout", dropout)
        nope = head_width(dim, n_heads) if head_dim is None else head_dim
        rope = max(2, nope // 4 * 2) if rope_dim is None else rope_dim  # pairs are rotated
        value = nope if value_dim is None else value_dim
        rank = 4 * nope if kv_rank is None else kv_rank
        sizes = {"head_dim": nope, "rope_dim": rope, "value_dim": value, "kv_rank": rank}
        for name, size in sizes.items():
            checks.at_least(name, size, 1)
        if scale is not None:
            checks.positive("scale", scale, 0.125)
        self.n_heads, self.head_dim = n_heads, rope
        self.nope_dim, self.value_dim, self.kv_rank = nope, value, rank
        self.scale = (nope + rope) ** -0.5 if scale is None else scale
        if q_rank is not None:
            checks.at_least("q_rank", q_rank, 1)
            self.q_down, self.q_norm = QueryKey(dim, q_rank, bias=bias), qk_norm(q_rank)
        self.q_up = QueryKey(dim if q_rank is None else q_rank, n_heads * (nope + rope), bias=False)
        self.kv_down = nn.Linear(dim, rank + rope, bias=bias)
        self.kv_norm = qk_norm(rank)
        self.kv_up = nn.Linear(rank, n_heads * (nope + value), bias=False)
        self.out = ResidualOut(n_heads * value, dim, bias=bias)
        self.kernel, self.dropout = kernel, dropout

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        q_nope, q_rope = self._queries(x, context)
        if memory is not None and cache is not None and cache.length:
            k_rope, latent = cache.view()  # the source does not change while decoding
        else:
            k_rope, latent = self._latents(x if memory is None else memory, context)
            if cache is not None:
                k_rope, latent = cache.append(k_rope, latent)
        step = cache is not None and x.shape[1] == 1
        attend = self._attend_latents if step else self._attend
        y = attend(q_nope, q_rope, k_rope, latent, context)
        return self.out(join_heads(y))  # (B, H, T, V) -> (B, T, H*V)

    def flops(self, keys: float) -> float:
        """Of scores and weighted sum, for one query."""
        return 2 * self.n_heads * (self.nope_dim + self.head_dim + self.value_dim) * keys

    def new_cache(self, capacity: int) -> KVCache:
        """An empty cache for decoding up to `capacity` tokens: k_rope and latents."""
        return KVCache(capacity)

    def _queries(self, x: Tensor, context: AttentionContext) -> tuple[Tensor, Tensor]:
        """(B, H, T, head_dim) and (B, H, T, r)."""
        q = self.q_up(self.q_norm(self.q_down(x)) if hasattr(self, "q_down") else x)
        q = q.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
        q_nope, q_rope = q.split((self.nope_dim, self.head_dim), dim=-1)
        return q_nope, context.rotate(q_rope)

    def _latents(self, source: Tensor, context: AttentionContext) -> tuple[Tensor, Tensor]:
        """k_rope (B, 1, S, r) and c (B, 1, S, R)."""
        both = self.kv_down(source)[:, None]
        latent, k_rope = both.split((self.kv_rank, self.head_dim), dim=-1)
        return context.rotated_keys(k_rope), self.kv_norm(latent)

    def _attend(
        self,
        q_nope: Tensor,
        q_rope: Tensor,
        k_rope: Tensor,
        latent: Tensor,
        context: AttentionContext,
    ) -> Tensor:
        """-> (B, H, T, V), by keys and values of all heads."""
        kv = self.kv_up(latent[:, 0]).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
        k_nope, v = kv.split((self.nope_dim, self.value_dim), dim=-1)
        k = torch.cat((k_nope, k_rope.expand(-1, self.n_heads, -1, -1)), dim=-1)
        return self._kernel(torch.cat((q_nope, q_rope), dim=-1), k, v, context)

    def _attend_latents(
        self,
        q_nope: Tensor,
        q_rope: Tensor,
        k_rope: Tensor,
        latent: Tensor,
        context: AttentionContext,
    ) -> Tensor:
        """The same, by one key and value head for all: the latents (B, 1, S, R)."""
        up = self.kv_up.weight.unflatten(0, (self.n_heads, -1))  # (H, head_dim + V, R)
        up_k, up_v = up.split((self.nope_dim, self.value_dim), dim=1)
        q = torch.cat((q_nope @ up_k, q_rope), dim=-1)
        k = torch.cat((latent, k_rope), dim=-1)
        return self._kernel(q, k, latent, context) @ up_v.mT

    def _kernel(self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext) -> Tensor:
        q = q * (self.scale * q.shape[-1] ** 0.5)  # kernels divide by the root
        return self.kernel(q, k, v, context, self.dropout if self.training else 0.0)
