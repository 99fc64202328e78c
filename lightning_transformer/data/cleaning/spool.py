"""Cleaned documents on disk, until they are encoded: one per line, as JSON."""

import json
import shutil
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from lightning_transformer.data.records import Records
from lightning_transformer.data.split import Record
from lightning_transformer.runs.atomic import write_atomically


class Spool:
    """A file per split in a folder, and the report of the stages once all of them are complete."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._report = folder / "cleaned.json"

    def _file(self, split: str) -> Path:
        return self.folder / f"cleaned.{split}.jsonl"

    def keep(self, split: str, records: Iterable[Record]) -> Records:
        """Write the records of a split, whose texts are in memory and whose notes JSON can hold."""
        with self._file(split).open("wb") as file:
            for record in records:
                line = json.dumps([record.texts, record.note, record.document], ensure_ascii=False)
                # A lone surrogate is no UTF-8, but rows of JSON can hold one.
                file.write(line.encode("utf-8", "surrogatepass") + b"\n")
        return Records(partial(_read, self._file(split)))

    def finish(self, report: list[dict[str, Any]]) -> None:
        """Note that all splits are complete."""
        write_atomically(self._report, json.dumps(report))

    def report(self) -> list[dict[str, Any]] | None:
        """The report of a complete spool; None where it is not complete, or not there."""
        try:
            found = json.loads(self._report.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        assert isinstance(found, list)
        return found

    def records(self, splits: Iterable[str]) -> dict[str, Records]:
        """The records of the splits of a complete spool."""
        return {split: Records(partial(_read, self._file(split))) for split in splits}

    def remove(self) -> None:
        """Remove the folder; first the report, without which the rest counts as incomplete."""
        self._report.unlink(missing_ok=True)
        shutil.rmtree(self.folder)


def _read(path: Path) -> Iterator[Record]:
    with path.open("rb") as file:
        for line in file:
            texts, note, document = json.loads(line.decode("utf-8", "surrogatepass"))
            yield Record(tuple(texts), note, document)
