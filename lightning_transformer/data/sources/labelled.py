"""Labelled texts of the user, from JSON or CSV files."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.examples import Labelled as LabelledExample
from lightning_transformer.data.files import read_rows
from lightning_transformer.data.holdout import by_first_text
from lightning_transformer.data.sources._own_files import OwnFiles
from lightning_transformer.data.split import ExampleList, Record

log = logging.getLogger(__name__)


@dataclass(kw_only=True, eq=False)
class LabelledText(OwnFiles):
    """Texts with one label each, from .jsonl, .json, .csv or .tsv files.

    Equal texts go to the same split, by their hash. val_path and test_path, if given, take the
    place of the fraction of that split; a fraction of 0 without such a path: there is no such
    split. The labels are those of the training split in sorted order. Rows without text are
    dropped, longer texts cut to seq_len tokens; the log counts both.

    path, val_path, test_path: files. text_key, label_key: their keys or columns.
    Fractions are in [0, 1). seq_len: tokens without special ones.
    Raises ValueError for malformed files, missing keys and labels that training lacks.
    """

    name = "labelled"
    example = LabelledExample

    text_key: str = "text"
    label_key: str = "label"

    def _records(self, path: str, key: str) -> list[Record]:
        rows = read_rows(path, (self.text_key, self.label_key), key=key)
        kept = [Record((text.strip(),), label) for text, label in rows if text.strip()]
        if len(kept) < len(rows):
            log.info("%s: %d rows without text dropped", path, len(rows) - len(kept))
        return kept

    def read(self) -> dict[str, list[Record]]:
        """Return the texts of each split in the order of the rows, and set `labels`."""
        rows = self._records(self.path, "data.path")
        records = by_first_text(rows, *self.fractions)
        for split, path in self.held_out.items():
            records[split] = self._records(path, f"data.{split}_path")
        self.labels = sorted({record.note for record in records["train"]})
        return records

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        return encode.labelled(split, records, self.vocabulary, self.labels, self.seq_len)
