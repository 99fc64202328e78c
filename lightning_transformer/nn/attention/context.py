"""What an attention layer receives besides its input."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.nn.attention.kernels.windows import KeyWindows
from lightning_transformer.nn.heads import split_heads


def unrotated(x: Tensor) -> Tensor:
    return x


def unmixed(name: str, x: Tensor) -> Tensor:
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
    after_projection: (name, (B, T, width)) -> same, on queries (q), keys (k) and values (v) of all
        heads side by side, before they are normed and rotated; for attention that inherits from
        MultiHeadAttention.
    is_causal: mask is the lower triangle of a square and is left out so that kernels can be fast.
    windows: in place of a mask, for layers that take them (`MultiHeadAttention.takes_windows`).
    padding, documents: (B, T) of the new tokens, for layers that have no scores to mask.
    ids: (B, T), the new tokens themselves, which memory tokens may precede; None where a stack is
        given vectors alone.
    shared: results that the layers of one forward share; one object for the contexts of a stack.
    """

    mask: Tensor | None = None
    bias: Tensor | None = None
    rotate: Callable[[Tensor], Tensor] = unrotated
    rotate_keys: Callable[[Tensor], Tensor] | None = None
    after_projection: Callable[[str, Tensor], Tensor] = unmixed
    is_causal: bool = False
    windows: KeyWindows | None = None
    padding: Tensor | None = None
    documents: Tensor | None = None
    ids: Tensor | None = None
    # A function, because torch.compile cannot call a class that a dataclass holds as its factory.
    shared: ForwardCache = field(default_factory=lambda: ForwardCache())

    def rotated_keys(self, k: Tensor) -> Tensor:
        """Keys (B, G, S, K) as they are stored and compared."""
        return (self.rotate_keys or self.rotate)(k)

    def with_keys_before(self, n: int) -> "AttentionContext":
        """For n more keys before the others, which every query sees and no bias is added to."""
        mask = None if self.mask is None else F.pad(self.mask, (n, 0), value=True)
        bias = None if self.bias is None else F.pad(self.bias, (n, 0))
        return replace(self, mask=mask, bias=bias)


Attend = Callable[[Tensor, Tensor, Tensor, AttentionContext], Tensor]


def attend_behind(
    attend: Attend,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    context: AttentionContext,
    keys: Tensor,
    values: Tensor,
) -> Tensor:
    """Attend to learned keys and values (n, G K) before those of each row; every query sees them.

    attend: q (B, H, T, K), k and v (B, G, S, K), context -> (B, H, T, K).
    """
    n = len(keys)
    k, v = _behind(keys, k), _behind(values, v)
    if context.is_causal:
        # As many queries in front: the square stays one, and kernels stay fast.
        y = attend(F.pad(q, (0, 0, n, 0)), k, v, context)
        return y[:, :, n:]
    return attend(q, k, v, context.with_keys_before(n))


def _behind(table: Tensor, x: Tensor) -> Tensor:
    """Keys or values (B, G, S, K) behind those of a table (n, G K) -> (B, G, n + S, K)."""
    learned = split_heads(table[None], x.shape[-1])  # (1, G, n, K)
    return torch.cat((learned.to(x.dtype).expand(x.shape[0], -1, -1, -1), x), dim=2)
