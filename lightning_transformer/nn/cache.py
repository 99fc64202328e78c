"""Key/value caches for incremental decoding: each new token computes one position only."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


class KVCache:
    """Keys and values of one attention layer, (B, G, length, K) inside a buffer of fixed capacity.

    Keys and values may differ in G and K. Keys are stored as rotated. The buffers are made at the
    first append, in its dtype and device.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity, self.length = capacity, 0
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add keys and values, each (B, G, T, K); return all so far, (B, G, length, K)."""
        end = self.length + k.shape[2]
        assert end <= self.capacity, f"{end} tokens in a cache for {self.capacity}"
        if self._keys is None or self._values is None:
            self._keys = k.new_empty(*k.shape[:2], self.capacity, k.shape[3])
            self._values = v.new_empty(*v.shape[:2], self.capacity, v.shape[3])
        self._keys[:, :, self.length : end] = k
        self._values[:, :, self.length : end] = v
        self.length = end
        return self.view()

    def view(self) -> tuple[Tensor, Tensor]:
        """Keys and values so far."""
        assert self._keys is not None
        assert self._values is not None
        return self._keys[:, :, : self.length], self._values[:, :, : self.length]


@dataclass
class LayerCache:
    """Cache of one block: of its own past, and of the source it attends to (filled once)."""

    own: Any
    source: Any = None


class StackCache:
    """Cache of a stack: one LayerCache per layer, and which past tokens were padding."""

    def __init__(self, layers: list[LayerCache], capacity: int) -> None:
        self.layers, self.capacity = layers, capacity
        self.length = 0  # tokens stored so far
        self.padding: Tensor | None = None  # (B, length), None = no padding so far

    def advance(self, n_new: int) -> None:
        """Count tokens that all layers have stored."""
        self.length += n_new

    def extend_padding(self, padding: Tensor | None, batch: int, n_new: int) -> Tensor | None:
        """Append the padding of n_new tokens; return all so far, or None if there was none."""
        if padding is None and self.padding is None:
            return None
        known = padding if padding is not None else self.padding
        assert known is not None
        past = known.new_zeros(batch, self.length) if self.padding is None else self.padding
        new = known.new_zeros(batch, n_new) if padding is None else padding
        self.padding = torch.cat((past, new), dim=1)
        return self.padding
