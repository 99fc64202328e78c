from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.block.base import Block
from lightning_transformer.nn.cache import LayerCache
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import LayerFactory, ModuleFactory, NormFactory


class AttentionOnly(Block):
    """Attention, or what stands in its place, without a feed-forward layer (Gu & Dao 2023, Mamba).

    Cross-attention follows if there is a source. A layer has fewer weights so, and there are
    usually twice as many.

    Shape: x (B, T, D), memory (B, S, D) or None -> (B, T, D).
    """

    def __init__(
        self,
        dim: int,
        *,
        norm: NormFactory,
        attention: LayerFactory,
        residual: ModuleFactory,
        cross: bool = False,
    ) -> None:
        super().__init__()
        self.attention, self.attention_residual = attention(dim), residual(dim, norm=norm)
        if cross:
            self.cross, self.cross_residual = attention(dim), residual(dim, norm=norm)

    @property
    def residuals(self) -> list[Residual]:
        between = [self.cross_residual] if hasattr(self, "cross") else []
        return [self.attention_residual, *between]

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None = None,
        memory_context: AttentionContext | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        own, source = (cache.own, cache.source) if cache else (None, None)
        x = self.attention_residual(x, lambda h: self.attention(h, context, cache=own))
        if memory is not None:
            x = self.cross_residual(
                x, lambda h: self.cross(h, memory_context, memory=memory, cache=source)
            )
        return x
