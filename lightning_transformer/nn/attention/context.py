"""What an attention layer receives besides its input."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


def unrotated(x: Tensor) -> Tensor:
    return x


@dataclass
class ForwardCache:
    """Results that layers leave for later layers of the same forward pass.

    first_values: (B, G, S, K), values of the first layer, for attention=value_residual.
    block_masks: pairs of a mask and the block mask that kernel=flex made of it.
    """

    first_values: Tensor | None = None
    block_masks: list[tuple[Tensor, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class AttentionContext:
    """Masks, biases and rotation of attention; built once per forward for layers of equal pattern.

    mask: bool, broadcasts to (B, H, T, S), True = may attend; None = no limit.
    bias: (H, T, S) or (B, H, T, S), added to the scores; already -inf where mask is False.
    rotate: (B, H, T, K) -> same, on queries, and on keys where rotate_keys is None.
    rotate_keys: (B, G, S, K) -> same, where keys are turned in another way than queries.
    is_causal: mask is the lower triangle of a square and is left out so that kernels can be fast.
    padding, documents: (B, T) of the new tokens, for layers that have no scores to mask.
    ids: (B, T), the new tokens themselves; None where a stack is given vectors alone.
    shared: results that the layers of one forward share; one object for the contexts of a stack.
    """

    mask: Tensor | None = None
    bias: Tensor | None = None
    rotate: Callable[[Tensor], Tensor] = unrotated
    rotate_keys: Callable[[Tensor], Tensor] | None = None
    is_causal: bool = False
    padding: Tensor | None = None
    documents: Tensor | None = None
    ids: Tensor | None = None
    # A function, because torch.compile cannot call a class that a dataclass holds as its factory.
    shared: ForwardCache = field(default_factory=lambda: ForwardCache())

    def rotated_keys(self, k: Tensor) -> Tensor:
        """Keys (B, G, S, K) as they are stored and compared."""
        return (self.rotate_keys or self.rotate)(k)
