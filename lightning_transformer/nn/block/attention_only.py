"""Blocks without a feed-forward layer (Gu & Dao 2023)."""

from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.block.base import Block
from lightning_transformer.nn.cache import LayerCache
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import LayerFactory, ModuleFactory, NormFactory


class AttentionOnly(Block):
    """Attention or a recurrent layer without a feed-forward layer (Gu & Dao 2023, Mamba).

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
        self.add_attention(dim, attention, residual, norm, cross=cross)

    @property
    def residuals(self) -> list[Residual]:
        return self.attention_residuals

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None = None,
        memory_context: AttentionContext | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        return self.attend(x, context, memory, memory_context, cache)
