"""Macaron blocks (Lu et al. 2019)."""

from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.block.base import Block
from lightning_transformer.nn.cache import LayerCache
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import LayerFactory, ModuleFactory, NormFactory


class Macaron(Block):
    """Half a feed-forward step, attention, cross-attention if there is a source, the other half.

    x + ffn_1(.) / 2, x + attention(.), x + ffn_2(.) / 2 (Lu et al. 2019, Macaron Net; Gulati et al.
    2020, Conformer, without its convolution and its norm at the end). The two have weights of their
    own: with ffn.hidden_mult=2 a layer has as many as that of block=sequential.

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
        self.first_ffn, self.first_ffn_residual = ffn(dim), residual(dim, norm=norm)
        self.add_attention(dim, attention, residual, norm, cross=cross)
        self.ffn, self.ffn_residual = ffn(dim), residual(dim, norm=norm)

    @property
    def residuals(self) -> list[Residual]:
        return [self.first_ffn_residual, *self.attention_residuals, self.ffn_residual]

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None = None,
        memory_context: AttentionContext | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        x = self.first_ffn_residual(x, lambda h: 0.5 * self.first_ffn(h))
        x = self.attend(x, context, memory, memory_context, cache)
        return self.ffn_residual(x, lambda h: 0.5 * self.ffn(h))
