"""Documents of the user in JSON lines, for language models."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.formats.row_options import RowOptions
from lightning_transformer.data.holdout import by_first_text
from lightning_transformer.data.packing.base import Packing
from lightning_transformer.data.packing.rows import Rows
from lightning_transformer.data.sources._own_files import OwnFiles
from lightning_transformer.data.split import Record


@dataclass(kw_only=True, eq=False)
class JsonLines(OwnFiles):
    """One document per line of a .jsonl file; equal ones go to the same split, by their hash.

    val_path and test_path, if given, take the place of the fraction of that split; a fraction of 0
    without such a path: there is no such split.

    path, val_path, test_path: files. text_key: key of the document. Fractions are in [0, 1).
    Raises ValueError for malformed files, a missing key and impossible fractions.
    """

    name = "jsonl"
    example = Tokens

    cache_gb: float = 100.0
    packing: Packing
    text_key: str = "text"
    batch_size: int = 16

    def _records(self, path: str, key: str) -> list[Record]:
        rows = RowOptions().read(path, (self.text_key,), key=key)
        return [Record((text,)) for _, (text,) in rows if text]

    def read(self) -> dict[str, list[Record]]:
        """Return the documents of each split in the order of the lines."""
        records = by_first_text(self._records(self.path, "data.path"), *self.fractions)
        for split, path in self.held_out.items():
            records[split] = self._records(path, f"data.{split}_path")
        return records

    def encode(self, split: str, records: Sequence[Record]) -> Rows:
        return encode.documents(split, records, self.vocabulary, self.packing, self.seq_len)
