"""Attention, then feed-forward (Vaswani et al. 2017)."""

from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.block.base import Block
from lightning_transformer.nn.cache import LayerCache
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import LayerFactory, ModuleFactory, NormFactory


class Sequential(Block):
    """Attention, cross-attention if there is a source, feed-forward: each a residual step.

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
        self.add_attention(dim, attention, residual, norm, cross=cross)
        self.ffn, self.ffn_residual = ffn(dim), residual(dim, norm=norm)

    @property
    def residuals(self) -> list[Residual]:
        return [*self.attention_residuals, self.ffn_residual]

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None = None,
        memory_context: AttentionContext | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        x = self.attend(x, context, memory, memory_context, cache)
        return self.ffn_residual(x, self.ffn)
