"""Plain text files of the user."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.files import matching_files, read_text
from lightning_transformer.data.holdout import assign, split_names
from lightning_transformer.data.packing.base import Packing
from lightning_transformer.data.packing.rows import Rows
from lightning_transformer.data.sources._own_files import OwnFiles
from lightning_transformer.data.split import Record

MANY = 20
"""From this number of files on, complete files are held out instead of the end of each."""


def contiguous(text: str, val_fraction: float, test_fraction: float) -> dict[str, str]:
    """Cut a text into train, val and test, in this order; cuts are rounded down to characters."""
    first = int((1 - val_fraction - test_fraction) * len(text) + 1e-9)
    second = int((1 - test_fraction) * len(text) + 1e-9) if test_fraction else len(text)
    return {"train": text[:first], "val": text[first:second], "test": text[second:]}


@dataclass(kw_only=True, eq=False)
class Text(OwnFiles):
    """Text files: the end of each is held out or, from 20 files on, complete files are.

    One to 19 files: each is cut into train, then val, then test. From 20 files on, a file goes
    to a split by the hash of its name relative to the folder of the pattern. val_path and
    test_path, if given, take the place of the fraction of that split. A fraction of 0 without such
    a path: there is no such split. CRLF is read as LF.

    path, val_path, test_path: file, or pattern such as texts/*.txt. Fractions are in [0, 1).
    Raises ValueError for missing, empty or non-UTF-8 files and for impossible fractions.
    """

    name = "text"
    example = Tokens

    packing: Packing
    batch_size: int = 16

    def _files(self, path: str, key: str) -> dict[str, str]:
        """Return the text of each file by its name relative to the folder they share."""
        files = matching_files(path, key=key)
        folder = os.path.commonpath([file.absolute().parent for file in files])
        texts = {
            file.absolute().relative_to(folder).as_posix(): read_text(str(file), key=key)
            for file in files
        }
        if not any(texts.values()):
            raise ValueError(f"{key}={path} is empty (0 tokens in {len(files)} files); add text")
        return {name: text for name, text in texts.items() if text}

    def read(self) -> dict[str, list[Record]]:
        """Return the documents of each split, files by name."""
        texts = self._files(self.path, "data.path")
        records: dict[str, list[Record]] = {split: [] for split in split_names(*self.fractions)}
        for name, text in sorted(texts.items()):
            complete = {assign(name, *self.fractions): text}
            parts = complete if len(texts) >= MANY else contiguous(text, *self.fractions)
            for split, part in parts.items():
                if part:
                    records[split].append(Record((part,)))
        for split, path in self.held_out.items():
            held_out = self._files(path, f"data.{split}_path")
            records[split] = [Record((text,)) for _, text in sorted(held_out.items())]
        return records

    def encode(self, split: str, records: Sequence[Record]) -> Rows:
        return encode.documents(split, records, self.vocabulary, self.packing, self.seq_len)
