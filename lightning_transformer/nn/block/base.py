"""The contract of a block, and the attention steps that most blocks share."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.cache import LayerCache
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import LayerFactory, ModuleFactory, NormFactory


def unchanged(x: Tensor) -> Tensor:
    return x


class Block(nn.Module):
    """Contract: one layer of a stack, made of attention, perhaps cross-attention, feed-forward.

    Shape: x (B, T, D), memory (B, S, D) or None -> (B, T, D).
    """

    attention: Any
    cross: Any
    attention_residual: Residual
    cross_residual: Residual

    @property
    def residuals(self) -> list[Residual]:
        """Its additions to the residual stream, in their order."""
        raise NotImplementedError

    def add_attention(
        self,
        dim: int,
        attention: LayerFactory,
        residual: ModuleFactory,
        norm: NormFactory,
        *,
        cross: bool,
    ) -> None:
        """Add attention and, if `cross`, cross-attention, each with its residual step."""
        self.attention, self.attention_residual = attention(dim), residual(dim, norm=norm)
        if cross:
            self.cross, self.cross_residual = attention(dim), residual(dim, norm=norm)

    @property
    def attention_residuals(self) -> list[Residual]:
        """The residual steps of `attend`, in their order."""
        between = [self.cross_residual] if hasattr(self, "cross") else []
        return [self.attention_residual, *between]

    def attend(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None,
        memory_context: AttentionContext | None,
        cache: LayerCache | None,
        before: Callable[[Tensor], Tensor] = unchanged,
    ) -> Tensor:
        """Attention and, where there is a memory, cross-attention, as residual steps.

        before: on what attention reads, (B, T, D) -> same.
        """
        own, source = (cache.own, cache.source) if cache else (None, None)
        x = self.attention_residual(x, lambda h: self.attention(before(h), context, cache=own))
        if memory is not None:
            x = self.cross_residual(
                x, lambda h: self.cross(h, memory_context, memory=memory, cache=source)
            )
        return x

    def new_cache(self, capacity: int, source_capacity: int) -> LayerCache:
        """An empty cache for decoding."""
        source = self.cross.new_cache(source_capacity) if hasattr(self, "cross") else None
        return LayerCache(self.attention.new_cache(capacity), source)

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None = None,
        memory_context: AttentionContext | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        raise NotImplementedError
