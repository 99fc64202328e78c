"""Attention and feed-forward behind short convolutions (Allen-Zhu 2025, Canon layers)."""

from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.block.base import Block
from lightning_transformer.nn.cache import LayerCache
from lightning_transformer.nn.ffn.dense import Dense
from lightning_transformer.nn.layer_info import LayerInfo, option_name
from lightning_transformer.nn.recurrent.base import RecurrentCache, RowOrder
from lightning_transformer.nn.recurrent.short_convolution import ShortConvolution
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import LayerFactory, ModuleFactory, NormFactory

PLACES = "abcd"


@dataclass
class CanonCache(LayerCache):
    """With the last inputs of each convolution, by its name."""

    past: dict[str, RecurrentCache] = field(default_factory=dict)

    def select(self, rows: Tensor) -> None:
        super().select(rows)
        for kept in self.past.values():
            kept.select(rows)

    @property
    def rewinds(self) -> bool:
        return False


class CanonLayer(nn.Module):
    """x_t + sum_{j < size} w_j * x_{t-j}, w_j (D,): a depthwise convolution and a residual.

    It stays within a document and passes over pads. Shape: (B, T, D) -> same.
    """

    reads_in_order = True

    def __init__(self, dim: int, *, size: int, bias: bool) -> None:
        super().__init__()
        self.conv = ShortConvolution(dim, size=size, bias=bias)

    def forward(self, x: Tensor, row: RowOrder, past: RecurrentCache | None) -> Tensor:
        return x + row.restore(self.conv(row.arrange(x), row, past or RecurrentCache()))


class Canon(Block):
    """As block=sequential; some parts read a mix of the last few tokens each, Canon layers.

        canon(h)_t = h_t + sum_{j < conv_size} w_j * h_{t-j}
        a: attention(canon(norm(x)))      b: canon(q), canon(k), canon(v), before norm and rotation
        c: ffn(canon(norm(x)))            d: down(activation(canon(up_1(h)), canon(up_2(h))))

    with residual=pre_norm (Allen-Zhu 2025, Physics of language models 4.1: all four, width 4).
    positions: those that there are, letters in this order. Cross-attention has none.

    Raises ValueError in an encoder, as the tokens before are mixed in, not those after; for b in
    attention that is no `MultiHeadAttention`, for d in a layer that is not `Dense`.
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
        positions: str = "ac",
        conv_size: int = 4,
        bias: bool = False,
        cross: bool = False,
    ) -> None:
        super().__init__()

        def made(width: int) -> CanonLayer:
            return CanonLayer(width, size=conv_size, bias=bias)

        self.before_attention = made(dim) if "a" in positions else None
        self.add_attention(dim, attention, residual, norm, cross=cross)
        self.before_ffn = made(dim) if "c" in positions else None
        self.ffn, self.ffn_residual = ffn(dim), residual(dim, norm=norm)
        _check(positions, self.attention, self.ffn)
        self.projections, self.hidden = nn.ModuleDict(), nn.ModuleDict()
        if "b" in positions:
            layers = {"q": self.attention.q, "k": self.attention.k, "v": self.attention.v}
            self.projections.update({n: made(y.out_features) for n, y in layers.items()})
        if "d" in positions:
            self.hidden.update({f"up_{i}": made(y.out_features) for i, y in enumerate(self.ffn.up)})

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
        return CanonCache(kept.own, kept.source)

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None = None,
        memory_context: AttentionContext | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        row = RowOrder.of(context)
        past = cache.past if isinstance(cache, CanonCache) else None

        def mixed(name: str, h: Tensor, layer: nn.Module | None) -> Tensor:
            if layer is None:
                return h
            y = layer(h, row, None if past is None else past.setdefault(name, RecurrentCache()))
            assert isinstance(y, Tensor)
            return y

        def feed_forward(h: Tensor) -> Tensor:
            h = mixed("ffn", h, self.before_ffn)
            if not self.hidden:
                return self.ffn(h)
            inputs = zip(self.hidden.items(), self.ffn.inputs(h), strict=True)
            return self.ffn.output(mixed(name, y, layer) for (name, layer), y in inputs)

        if self.projections:
            context = replace(
                context, after_projection=lambda name, h: mixed(name, h, self.projections[name])
            )
        x = self.attend(
            x,
            context,
            memory,
            memory_context,
            cache,
            before=lambda h: mixed("attention", h, self.before_attention),
        )
        return self.ffn_residual(x, feed_forward)


def _check(positions: str, attention: nn.Module, ffn: nn.Module) -> None:
    """Refuse positions that there are not, alone or in these layers."""
    known = "".join(place for place in PLACES if place in positions.lower())
    if positions != known or not known:
        raise ValueError(
            f"positions={positions} must be letters of {PLACES}, each once and in this order; "
            f"use positions={known or 'ac'}"
        )
    mixes, option = isinstance(attention, MultiHeadAttention), option_name(attention)
    dense = isinstance(ffn, Dense)
    possible = "".join(p for p in positions if (mixes or p != "b") and (dense or p != "d"))
    instead = f"positions={possible}" if possible else "block=sequential"
    if "b" in positions and not mixes:
        raise ValueError(
            f"positions={positions} mixes at b the queries, keys and values of attention with "
            f"heads, and attention={option} makes its own; use {instead}"
        )
    if "d" in positions and not dense:
        raise ValueError(
            f"positions={positions} mixes hidden units of neighbouring tokens at d, and "
            f"ffn={option_name(ffn)} has them in experts, each for tokens of its own; use {instead}"
        )
