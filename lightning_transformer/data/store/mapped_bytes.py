"""Files of UTF-8 as the tokens that they are, mapped into memory and never copied."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np


class MappedBytes:
    """Parts of files as documents of bytes, with eos_id around each, as `join` puts it.

    Supports len and slices, which are new arrays (n,) of uint16.

    parts: (path, first byte, end) of each document.
    """

    def __init__(self, parts: Sequence[tuple[Path, int, int]], eos_id: int) -> None:
        self.eos_id = eos_id
        self.ends = np.cumsum([end - start + 1 for _, start, end in parts], dtype=np.int64)
        self._parts = [
            np.memmap(path, dtype=np.uint8, mode="r", offset=start, shape=(end - start,))
            if end > start
            else np.empty(0, dtype=np.uint8)
            for path, start, end in parts
        ]

    def __len__(self) -> int:
        return 1 + int(self.ends[-1])

    def __getitem__(self, places: slice) -> np.ndarray:
        start, stop, _ = places.indices(len(self))
        out = np.full(max(0, stop - start), self.eos_id, dtype=np.uint16)
        if not len(out):
            return out
        first = int(np.searchsorted(self.ends, start, side="left"))
        last = int(np.searchsorted(self.ends, stop - 1, side="left"))
        for number in range(first, last + 1):
            begins = int(self.ends[number - 1]) + 1 if number else 1  # its first byte here
            a, b = max(start, begins), min(stop, int(self.ends[number]))
            if b > a:
                out[a - start : b - start] = self._parts[number][a - begins : b - begins]
        return out
