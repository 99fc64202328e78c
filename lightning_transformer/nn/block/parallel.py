"""Parallel attention and feed-forward layers (Wang & Komatsuzaki 2021)."""

from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.block.base import Block
from lightning_transformer.nn.cache import LayerCache
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import LayerFactory, ModuleFactory, NormFactory


class ParallelBlock(Block):
    """Attention and feed-forward read the same input and are added: one residual step per layer.

    x + attention(norm(x)) + ffn(norm(x)) with residual=pre_norm (Wang & Komatsuzaki 2021, GPT-J;
    Chowdhery et al. 2022). Cross-attention to a source joins the sum.

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
        cross: bool = False,
    ) -> None:
        super().__init__()
        self.attention, self.ffn = attention(dim), ffn(dim)
        if cross:
            self.cross = attention(dim)
        self.residual = residual(dim, norm=norm)

    @property
    def residuals(self) -> list[Residual]:
        return [self.residual]

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None = None,
        memory_context: AttentionContext | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        own, source = (cache.own, cache.source) if cache else (None, None)

        def branches(h: Tensor) -> Tensor:
            y = self.attention(h, context, cache=own) + self.ffn(h)
            if memory is not None:
                y = y + self.cross(h, memory_context, memory=memory, cache=source)
            return y

        return self.residual(x, branches)
