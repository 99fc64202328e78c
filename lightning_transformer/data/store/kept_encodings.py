"""Encoded texts of examples on disk as they come, so that an interrupted encoding goes on."""

import copy
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lightning_transformer.data.store.columns import Column, mapped
from lightning_transformer.data.store.corpus import JOURNAL
from lightning_transformer.data.store.progress import Progress
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.runs.atomic import write_atomically

NOTED = 5.0  # seconds after which it is noted how far the encoding is
LOGS = {"encoded": ("ids",), "placed": ("ids", "starts")}  # of texts alone, and with places
TYPES = {"ids": np.int32, "starts": np.int64}  # of the arrays of a text, all equally long

Arrays = tuple[np.ndarray, ...]


class ArrayLog:
    """Tuples of arrays in the order in which they were asked for, some of an earlier process.

    noted: how many tuples and numbers are known to be on the disk; of what is not there, none.
    """

    def __init__(self, folder: Path, name: str, fields: Sequence[str], noted: Sequence[int]):
        self._columns = [Column(folder / f"{name}.{field}", TYPES[field]) for field in fields]
        self._lengths = Column(folder / f"{name}.lengths", np.int64)
        n, size = noted
        if not (self._lengths.cut_to(n) and all(column.cut_to(size) for column in self._columns)):
            for column in (self._lengths, *self._columns):
                column.cut_to(0)
            n = 0
        self._kept = mapped(folder / f"{name}.lengths", np.int64)[:n]
        self._values = [mapped(folder / f"{name}.{f}", TYPES[f]) for f in fields]
        self._n_taken = self._at = 0

    def take(self, n: int) -> list[Arrays]:
        """The next n tuples of the earlier process, or as many as are left."""
        found = []
        for length in self._kept[self._n_taken : self._n_taken + n].tolist():
            place = slice(self._at, self._at + length)
            found.append(tuple(np.array(values[place]) for values in self._values))
            self._at += length
        self._n_taken += len(found)
        return found

    def add(self, found: Sequence[Arrays]) -> None:
        """Append tuples of this process."""
        self._lengths.append(np.array([len(one[0]) for one in found], dtype=np.int64))
        for column, arrays in zip(self._columns, zip(*found, strict=True), strict=True):
            column.append(np.concatenate(arrays))

    def sync(self) -> list[int]:
        """Put all on the disk; how many tuples and numbers that is."""
        for column in (self._lengths, *self._columns):
            column.sync()
        return [self._lengths.size, self._columns[0].size]

    def close(self) -> None:
        for column in (self._lengths, *self._columns):
            column.close()


class KeptEncodings:
    """What a vocabulary gives for the texts of a split, text by text, kept in a folder.

    The texts must be asked for in an order that never changes, as sources do. What an earlier
    process has noted is not encoded again.

    total: bytes of the texts, for the progress.
    """

    def __init__(self, folder: Path, split: str, vocabulary: Vocabulary, total: int) -> None:
        self._folder, self._split, self._real = folder, split, vocabulary
        self._noted = _noted(folder)
        self._logs = {
            name: ArrayLog(
                folder, f"{split}.{name}", fields, self._noted.get(f"{split}.{name}", (0, 0))
            )
            for name, fields in LOGS.items()
        }
        self._progress, self._when = Progress(f"{split} split", total), time.monotonic()

    def vocabulary(self) -> Vocabulary:
        """The vocabulary, whose encodings are kept."""
        found: Any = copy.copy(self._real)
        found.encode_all = self._encode_all
        found.encode_with_starts = self._encode_with_starts
        assert isinstance(found, Vocabulary)
        return found

    def _encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        def encode(rest: Sequence[str]) -> list[Arrays]:
            return [(ids,) for ids in self._real.encode_all(rest)]

        return [ids for (ids,) in self._through("encoded", texts, encode)]

    def _encode_with_starts(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        ((ids, starts),) = self._through(
            "placed", [text], lambda rest: [self._real.encode_with_starts(one) for one in rest]
        )
        return ids, starts

    def _through(
        self, name: str, texts: Sequence[str], encode: Callable[[Sequence[str]], list[Arrays]]
    ) -> list[Arrays]:
        log = self._logs[name]
        found = log.take(len(texts))
        if rest := texts[len(found) :]:
            new = encode(rest)
            log.add(new)
            found += new
        self._progress.add(sum(len(text.encode("utf-8", "surrogatepass")) for text in texts))
        if time.monotonic() - self._when >= NOTED:
            self._note()
        return found

    def _note(self) -> None:
        """Note how far the encoding is; what it names is on the disk."""
        self._noted |= {f"{self._split}.{name}": log.sync() for name, log in self._logs.items()}
        write_atomically(self._folder / JOURNAL, json.dumps(self._noted))
        self._when = time.monotonic()

    def close(self) -> None:
        """Note that the split is encoded."""
        self._note()
        for log in self._logs.values():
            log.close()


def remove_encodings(folder: Path) -> None:
    """Remove what was kept, once it is no longer needed; first what names it."""
    files = [file for name in LOGS for file in folder.glob(f"*.{name}.*")]
    if files:
        (folder / JOURNAL).unlink(missing_ok=True)
    for file in files:
        file.unlink()


def _noted(folder: Path) -> dict[str, list[int]]:
    """How far an interrupted encoding was; {} where nothing was noted."""
    try:
        found = json.loads((folder / JOURNAL).read_text(encoding="utf-8"))
        return {str(name): [int(n), int(size)] for name, (n, size) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
