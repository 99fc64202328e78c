"""Arrays that are appended to files and mapped into memory afterwards."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

WHOLE = 1 << 24
"""Bytes; of larger files the digest covers this much, in blocks spread evenly."""
BLOCK = 1 << 16


class Column:
    """A file of numbers of one type, to be appended to. `size` counts numbers."""

    def __init__(self, path: Path, dtype: Any) -> None:
        self.dtype, self.size = np.dtype(dtype), 0
        path.touch()
        self._file = path.open("r+b")

    def cut_to(self, size: int) -> bool:
        """Keep so many numbers and go on behind them; False where there are fewer."""
        self._file.seek(0, os.SEEK_END)
        if self._file.tell() < size * self.dtype.itemsize:
            return False
        self._file.truncate(size * self.dtype.itemsize)
        self._file.seek(0, os.SEEK_END)
        self.size = size
        return True

    def append(self, values: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(values, dtype=self.dtype).data)
        self.size += len(values)

    def sync(self) -> None:
        """Put everything on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self.sync()
        self._file.close()


def mapped(path: Path, dtype: Any) -> np.ndarray:
    """The numbers of a file (n,), read when they are used."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r")


def spot_sha256(path: Path) -> str:
    """SHA-256 of size and content of a file, of a large one of 256 blocks spread over it."""
    size = path.stat().st_size
    digest = hashlib.sha256(f"{size}\n".encode())
    with path.open("rb") as file:
        if size <= WHOLE:
            digest.update(file.read())
        else:
            n = WHOLE // BLOCK
            for i in range(n):
                file.seek((size - BLOCK) * i // (n - 1))
                digest.update(file.read(BLOCK))
    return digest.hexdigest()
