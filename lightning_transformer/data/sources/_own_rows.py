"""The options of sources that read rows of one file of the user, or of several alike."""

import logging
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_transformer.data.base import DataModule
from lightning_transformer.data.formats.row_options import RowOptions
from lightning_transformer.data.holdout import fractions_to_cut
from lightning_transformer.data.records import Records, split_by_hash
from lightning_transformer.data.split import Record

log = logging.getLogger(__name__)


@dataclass(kw_only=True, eq=False)
class OwnRows(DataModule):
    """Rows of the user's files, of which fractions are held out unless val and test have files.

    Rows with equal first texts go to the same split, by their hash. Rows in which a value is
    missing are dropped and counted in the log. The other options are those of `RowOptions`.
    cache_gb: most GB of encoded data that are kept in the cache, above 0.
    Raises ValueError for impossible fractions, and for options that do not fit the files.
    """

    path: str
    val_fraction: float = 0.1
    test_fraction: float = 0.1
    val_path: str | None = None
    test_path: str | None = None
    format: str = "auto"
    delimiter: str | None = None
    quote: str | None = "auto"
    columns: list | None = None
    null_values: list | None = None
    cache_gb: float = 100.0
    cleaning: dict | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fractions = fractions_to_cut(
            self.val_fraction, self.test_fraction, self.val_path, self.test_path
        )
        self.row_options = RowOptions(
            self.format, self.delimiter, self.quote, self.columns, self.null_values
        )
        self._said: set[str] = set()

    def inputs(self) -> list[Path]:
        """Return the files that hold the rows."""
        given = {"": self.path, "val_": self.val_path, "test_": self.test_path}
        named = {f"data.{prefix}path": path for prefix, path in given.items() if path}
        return [f for key, path in named.items() for f in self.row_options.inputs(path, key)]

    @abstractmethod
    def make_record(self, place: str, values: tuple[str, ...]) -> Record | None:
        """A record of the values of the keys, none of which is missing; None = drop the row.

        place: file and line or number, for messages.
        """

    def read_keys(self, keys: tuple[str, ...], lists: tuple[str, ...] = ()) -> dict[str, Records]:
        """Return the records of each split in the order of the rows. lists: see `RowOptions`."""

        def read(path: str, key: str) -> Iterator[Record]:
            return self._records(path, key, keys, lists)

        records = split_by_hash(lambda: read(self.path, "data.path"), *self.fractions)
        for split, path in (("val", self.val_path), ("test", self.test_path)):
            if path:
                records[split] = _given(read, path, f"data.{split}_path")
        return records

    def _records(
        self, path: str, key: str, keys: tuple[str, ...], lists: tuple[str, ...]
    ) -> Iterator[Record]:
        for file in self.row_options.files(path, key):
            dropped = 0
            for number, values in self.row_options.read(file, keys, key=key, lists=lists):
                record = None
                if None not in values:
                    record = self.make_record(f"{file}:{number}", values)  # type: ignore[arg-type]
                if record is None:
                    dropped += 1
                else:
                    yield record
            if dropped:
                self._say(f"{file}: {dropped} rows without {' or '.join(keys)} dropped")

    def _say(self, line: str) -> None:
        if line not in self._said:  # files are read several times
            self._said.add(line)
            log.info(line)


def _given(read: Any, path: str, key: str) -> Records:
    return Records(lambda: read(path, key))
