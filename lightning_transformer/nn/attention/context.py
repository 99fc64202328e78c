from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


def unrotated(x: Tensor) -> Tensor:
    return x


@dataclass(frozen=True)
class AttentionContext:
    """What one attention call may see; made once per forward and shared by layers of one pattern.

    mask: bool, broadcasts to (B, H, T, S), True = may attend; None = no limit.
    bias: (H, T, S) or (B, H, T, S), added to the scores; already -inf where mask is False.
    rotate: (B, H, T, K) -> same, on queries and keys.
    is_causal: mask is the lower triangle of a square and is left out so that kernels can be fast.
    padding, documents: (B, T) of the new tokens, for layers that have no scores to mask.
    carried: what layers and kernels leave for the rest of the forward; one dict for all of them.
    """

    mask: Tensor | None = None
    bias: Tensor | None = None
    rotate: Callable[[Tensor], Tensor] = unrotated
    is_causal: bool = False
    padding: Tensor | None = None
    documents: Tensor | None = None
    cache: dict[str, Any] = field(default_factory=dict)
