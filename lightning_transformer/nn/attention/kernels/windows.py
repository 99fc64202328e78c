"""Causal attention to near keys: in blocks of queries, each with the keys that it can see."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.nn.pattern.base import Pattern

# Queries of a block at least: fewer make products too small. Measured on a CPU with windows of 256.
_LEAST = 64


@dataclass(frozen=True)
class KeyWindows:
    """Rows cut into N blocks of queries, each with the keys of its own block and some before it.

    Time and memory grow with T, where one mask for all has T^2 entries (Beltagy et al. 2020).

    block: queries of one. before: keys that come before its first query. mask: (N, block,
    before + block) or (B, N, ..), True = may attend.
    """

    block: int
    before: int
    mask: Tensor

    def attend(self, run: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """run: attention of q, k, v and a mask. q (B, H, T, K), k and v (B, G, T, ..) -> like q."""
        n_rows, length = q.shape[0], q.shape[2]
        mask = self.mask if self.mask.ndim == 4 else self.mask.expand(n_rows, *self.mask.shape)
        y = run(
            _blocks(q, self.block, 0),
            _blocks(k, self.block, self.before),
            _blocks(v, self.block, self.before),
            mask.flatten(0, 1)[:, None],
        )
        return y.unflatten(0, (n_rows, -1)).transpose(1, 2).flatten(2, 3)[:, :, :length]


def key_windows(
    sees: Callable[[Tensor, Tensor], Tensor],
    reach: int,
    positions: Tensor,
    padding: Tensor | None,
    documents: Tensor | None,
) -> KeyWindows | None:
    """The windows of a causal model in which no query sees more than `reach` tokens back.

    sees: predicate of positions, as a `Pattern`. reach: with the query itself. positions: (T,) or
    (B, T), whose real tokens count up by one. padding, documents: (B, T), as `Stack` takes them.
    None where rows are too short for blocks to pay.
    """
    length = positions.shape[-1]
    block = max(_LEAST, reach // 2)
    before = block * math.ceil((reach - 1) / block)
    if length < 2 * (before + block):
        return None
    real = torch.ones_like(positions, dtype=torch.bool) if padding is None else ~padding
    mask = sees(_queries(positions, block), _keys(positions, block, before))
    mask = mask & _keys(real, block, before)
    if documents is not None:
        mask = mask & (_queries(documents, block) == _keys(documents, block, before))
    return KeyWindows(block, before, mask)


def _queries(x: Tensor, block: int) -> Tensor:
    """(.., T) -> (.., N, block, 1)."""
    return F.pad(x, (0, -x.shape[-1] % block)).unflatten(-1, (-1, block))[..., None]


def _keys(x: Tensor, block: int, before: int) -> Tensor:
    """(.., T) -> (.., N, 1, before + block), 0 or False outside the row."""
    padded = F.pad(x, (before, -x.shape[-1] % block))
    return padded.unfold(-1, before + block, block)[..., None, :]


def _blocks(x: Tensor, block: int, before: int) -> Tensor:
    """(B, H, T, K) -> (B N, H, before + block, K)."""
    padded = F.pad(x, (0, 0, before, -x.shape[2] % block))
    return padded.unfold(2, before + block, block).permute(0, 2, 1, 4, 3).flatten(0, 1)


def shared_reach(pattern: Pattern, layers: Sequence[Any]) -> int | None:
    """The reach of a pattern where all layers with scores take windows; None elsewhere."""
    scored = [layer for layer in layers if layer.has_scores]
    can = all(getattr(layer, "takes_windows", False) for layer in scored)
    return pattern.reach() if can else None
