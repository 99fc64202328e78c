from torch import Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.cache import LayerCache
from lightning_transformer.nn.types import LayerFactory, ModuleFactory, NormFactory


class Parallel(nn.Module):
    """Attention and feed-forward read the same input and are added: one residual step per layer.

    x + attention(norm(x)) + ffn(norm(x)) with residual=pre_norm (Wang & Komatsuzaki 2021, GPT-J;
    Chowdhery et al. 2022). Cross-attention to a source joins the sum.

    Shape: x (B, T, D), memory (B, S, D) or None -> (B, T, D).
    """

    n_residuals = 1

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
        self.needs_final_norm: bool = self.residual.needs_final_norm

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None = None,
        memory_context: AttentionContext | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        own, source = (cache.self_attention, cache.cross_attention) if cache else (None, None)

        def branches(h: Tensor) -> Tensor:
            y = self.attention(h, context, cache=own) + self.ffn(h)
            if memory is not None:
                y = y + self.cross(h, memory_context, memory=memory, cache=source)
            return y

        return self.residual(x, branches)
