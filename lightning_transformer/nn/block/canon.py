"""Attention and feed-forward behind short convolutions (Allen-Zhu 2025, Canon layers)."""

from dataclasses import dataclass

from torch import Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.block.base import Block
from lightning_transformer.nn.cache import LayerCache
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.recurrent.base import RecurrentCache, RowOrder
from lightning_transformer.nn.recurrent.short_convolution import ShortConvolution
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import LayerFactory, ModuleFactory, NormFactory


@dataclass
class CanonCache(LayerCache):
    """With the last inputs of the two convolutions."""

    before_attention: RecurrentCache | None = None
    before_ffn: RecurrentCache | None = None


class CanonLayer(nn.Module):
    """x_t + sum_{j < size} w_j * x_{t-j}, w_j (D,): a depthwise convolution and a residual.

    It stays within a document and passes over pads. Shape: (B, T, D) -> same.
    """

    def __init__(self, dim: int, *, size: int, bias: bool) -> None:
        super().__init__()
        self.conv = ShortConvolution(dim, size=size, bias=bias)

    def forward(self, x: Tensor, row: RowOrder, past: RecurrentCache | None) -> Tensor:
        return x + row.restore(self.conv(row.arrange(x), row, past or RecurrentCache()))


class Canon(Block):
    """As block=sequential; attention and feed-forward read a mix of the last few tokens each.

        A: attention(canon(norm(x))),  C: ffn(canon(norm(x)))
        canon(h)_t = h_t + sum_{j < conv_size} w_j * h_{t-j}

    with residual=pre_norm (Allen-Zhu 2025, Physics of language models 4.1: Canon layers at A and C,
    width 4). Those inside attention (B: queries, keys and values) and inside the feed-forward layer
    (D: hidden units) are left out. Cross-attention has none.

    Raises ValueError in an encoder, as the tokens before are mixed in, not those after.
    Shape: x (B, T, D), memory (B, S, D) or None -> (B, T, D).
    """

    def __init__(
        self,
        dim: int,
        *,
        norm: NormFactory,
        attention: LayerFactory,
        ffn: LayerFactory,
        residual: ModuleFactory,
        conv_size: int = 4,
        bias: bool = False,
        cross: bool = False,
    ) -> None:
        super().__init__()
        self.before_attention = CanonLayer(dim, size=conv_size, bias=bias)
        self.add_attention(dim, attention, residual, norm, cross=cross)
        self.before_ffn = CanonLayer(dim, size=conv_size, bias=bias)
        self.ffn, self.ffn_residual = ffn(dim), residual(dim, norm=norm)

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        if not info.causal:
            raise ValueError(
                "block=canon mixes in the tokens before, an encoder looks both ways; "
                "use block=sequential or model=decoder_only"
            )
        return self

    @property
    def residuals(self) -> list[Residual]:
        return [*self.attention_residuals, self.ffn_residual]

    def new_cache(self, capacity: int, source_capacity: int) -> CanonCache:
        kept = super().new_cache(capacity, source_capacity)
        return CanonCache(kept.own, kept.source, RecurrentCache(), RecurrentCache())

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None = None,
        memory_context: AttentionContext | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        row = RowOrder.of(context)
        first = second = None
        if cache is not None:
            assert isinstance(cache, CanonCache)
            first, second = cache.before_attention, cache.before_ffn
        x = self.attend(
            x,
            context,
            memory,
            memory_context,
            cache,
            before=lambda h: self.before_attention(h, row, first),
        )
        return self.ffn_residual(x, lambda h: self.ffn(self.before_ffn(h, row, second)))
