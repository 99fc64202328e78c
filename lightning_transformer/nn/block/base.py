from typing import Any

from torch import Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.cache import LayerCache
from lightning_transformer.nn.residual.base import Residual


class Block(nn.Module):
    """Contract: one layer of a stack, made of attention, perhaps cross-attention, feed-forward.

    Shape: x (B, T, D), memory (B, S, D) or None -> (B, T, D).
    """

    attention: Any
    cross: Any

    @property
    def residuals(self) -> list[Residual]:
        """Its additions to the residual stream, in their order."""
        raise NotImplementedError

    def new_cache(self, capacity: int, source_capacity: int) -> LayerCache:
        """An empty memory for decoding."""
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
