"""Documents of the user, from a key or column of one file or of many."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.packing.base import Packing
from lightning_transformer.data.packing.rows import Rows
from lightning_transformer.data.records import Records
from lightning_transformer.data.sources._own_rows import OwnRows
from lightning_transformer.data.split import Record


@dataclass(kw_only=True, eq=False)
class Corpus(OwnRows):
    """Documents, one per row of .jsonl, .json, .csv, .tsv, .parquet or .arrow files.

    How they are split and which rows are dropped: see `OwnRows`, and rows without text are. Texts
    are taken as they are, with the white space around them.

    path, val_path, test_path: files, or patterns such as part-*.parquet. text_key: their key or
    column; a.b is b within a. Fractions are in [0, 1).
    Raises ValueError for malformed files and missing keys.
    """

    name = "corpus"
    example = Tokens

    packing: Packing
    text_key: str = "text"
    batch_size: int = 16

    def make_record(self, place: str, values: tuple[str, ...]) -> Record | None:
        return Record(values) if values[0].strip() else None

    def read(self) -> dict[str, Records]:
        """Return the documents of each split in the order of the rows."""
        return self.read_keys((self.text_key,))

    def encode(self, split: str, records: Sequence[Record]) -> Rows:
        return encode.documents(split, records, self.vocabulary, self.packing, self.seq_len)
