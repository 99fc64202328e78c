"""Key/value caches for incremental decoding: each new token computes one position only."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor


class KVCache:
    """Keys and values of one attention layer, (B, G, length, K) inside a buffer of fixed capacity.

    Keys and values may differ in G and K. Keys are stored as rotated. The buffers are made at the
    first append, in its dtype and device.
    """

    rewinds: ClassVar[bool] = True

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

    def select(self, rows: Tensor) -> None:
        """Make row i what row rows[i], (n,) long, has been; in place where n is the batch size."""
        k, v = self.view()
        if len(rows) == len(k):
            k.copy_(k.index_select(0, rows))
            v.copy_(v.index_select(0, rows))
            return
        assert self._keys is not None
        assert self._values is not None
        self._keys = self._keys.index_select(0, rows)
        self._values = self._values.index_select(0, rows)

    def rewind(self, n: int) -> None:
        """Forget the last n tokens."""
        assert n <= self.length, f"{n} tokens to forget of {self.length}"
        self.length -= n


@dataclass
class LayerCache:
    """Cache of one block: of its own past, and of the source it attends to (filled once)."""

    own: Any
    source: Any = None

    def select(self, rows: Tensor) -> None:
        """Take rows of the layer's own past, see `KVCache.select`."""
        self.own.select(rows)

    def rewind(self, n: int) -> None:
        """Forget the last n tokens, where it `rewinds`."""
        self.own.rewind(n)

    @property
    def rewinds(self) -> bool:
        """Whether it can forget its last tokens: a state that stands for all of them cannot."""
        return bool(self.own.rewinds)


class StackCache:
    """Cache of a stack: one LayerCache per layer, and which past tokens were padding."""

    def __init__(self, layers: list[LayerCache], capacity: int) -> None:
        self.layers, self.capacity = layers, capacity
        self.length = 0  # tokens stored so far
        self.padding: Tensor | None = None  # (B, length), None = no padding so far

    def advance(self, n_new: int) -> None:
        """Count tokens that all layers have stored."""
        self.length += n_new

    def reorder(self, rows: Tensor) -> None:
        """Make row i what row rows[i], (B,) long, has been, for rows that read the same source."""
        for layer in self.layers:
            layer.select(rows)
        if self.padding is not None:
            self.padding = self.padding.index_select(0, rows)

    def expand(self, rows: Tensor) -> None:
        """Take rows (n,) long of all that is stored, the source included."""
        self.reorder(rows)
        for layer in self.layers:
            if layer.source is not None:
                layer.source.select(rows)

    def check_rewind(self) -> None:
        """Raise ValueError where a layer keeps a state in place of the tokens."""
        if not all(layer.rewinds for layer in self.layers):
            raise ValueError(
                "speculative decoding takes tokens back, and a recurrent layer or convolution "
                "keeps only the state after them; decode without draft"
            )

    def rewind(self, n: int) -> None:
        """Forget the last n tokens; for caches that pass `check_rewind`."""
        for layer in self.layers:
            layer.rewind(n)
        self.length -= n
        if self.padding is not None:
            self.padding = self.padding[:, : self.length]

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


@dataclass
class Decoding:
    """The state of a model between two generated tokens."""

    cache: StackCache
    memory: Tensor | None = None  # (B, S, D), the encoded source
    memory_padding: Tensor | None = None

    def expand(self, rows: Tensor) -> None:
        """Take rows (n,) long of all that is kept: row i is then what row rows[i] has been."""
        self.cache.expand(rows)
        if self.memory is not None:
            self.memory = self.memory.index_select(0, rows)
        if self.memory_padding is not None:
            self.memory_padding = self.memory_padding.index_select(0, rows)
