"""Attention with a forget gate (Lin et al. 2025)."""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.cache import KVCache
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.linear import HeadGate


class ForgettingCache(KVCache):
    """Keys and values, and the logarithms of the gates added up to each token, (B, H, length)."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self._sums: Tensor | None = None

    def append_gates(self, logs: Tensor) -> Tensor:
        """Add logarithms of gates (B, H, T); return the sums up to each token so far."""
        sums = logs.cumsum(dim=-1)
        if self._sums is not None:
            sums = torch.cat((self._sums, self._sums[..., -1:] + sums), dim=-1)
        self._sums = sums
        return sums

    def select(self, rows: Tensor) -> None:
        super().select(rows)
        assert self._sums is not None
        self._sums = self._sums.index_select(0, rows)

    def rewind(self, n: int) -> None:
        super().rewind(n)
        assert self._sums is not None
        self._sums = self._sums[..., : self.length]


class Forgetting(MultiHeadAttention):
    """Attention whose heads forget the past by gates of the input (Lin et al. 2025, FoX).

        f_t = sigmoid(forget(x_t)), a number per head
        weights = softmax(s_ij + log f_(j+1) + ... + log f_i), for keys j up to the query i

    What is added holds the order of tokens, so that position=none does too, as in the paper. The
    forget layer always has a bias, 0 at first. Of the paper's two models this is the plain one:
    without the output gate and the mixing of neighbouring keys and values of its "Pro" block.
    Causal only; cross-attention, which has no order to forget along, is plain. Pads forget
    nothing. Sums of logarithms are float32 at least, and (B, H, T, S) numbers are added to the
    scores: memory grows with T^2 under any kernel.

    Shape: x (B, T, D) -> (B, T, D), with memory (B, S, D) as in MultiHeadAttention.
    """

    past_only = True
    reads_in_order = True
    forget: HeadGate | None

    def __init__(self, dim: int, **heads: Any) -> None:
        super().__init__(dim, **heads)
        self.forget = HeadGate(dim, self.n_heads, bias=True)

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        if info.cross:
            self.forget = None
        return self

    def new_cache(self, capacity: int) -> KVCache:
        """An empty cache for decoding up to `capacity` tokens."""
        return KVCache(capacity) if self.forget is None else ForgettingCache(capacity)

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        if self.forget is not None:
            logs = F.logsigmoid(_wide(self.forget(x)))  # (B, T, H)
            if context.padding is not None:
                logs = logs.masked_fill(context.padding[..., None], 0.0)
            context = _with_gates(context, logs.transpose(1, 2), cache)
        return super().forward(x, context, memory, cache)


def _with_gates(context: AttentionContext, logs: Tensor, cache: KVCache | None) -> AttentionContext:
    """The context with what logarithms of gates (B, H, T) of the new tokens add to the scores."""
    n_new, mask = logs.shape[-1], context.mask
    if cache is None:
        sums = logs.cumsum(dim=-1)
    else:
        assert isinstance(cache, ForgettingCache)
        sums = cache.append_gates(logs)
    bias = sums[..., -n_new:, None] - sums[..., None, :]  # (B, H, T, S)
    if context.bias is not None:
        bias = bias + context.bias
    if context.is_causal:
        mask = torch.ones(n_new, n_new, dtype=torch.bool, device=bias.device).tril()[None, None]
    if mask is not None:
        bias = bias.masked_fill(~mask, float("-inf"))
    return replace(context, mask=mask, bias=bias, is_causal=False)


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
