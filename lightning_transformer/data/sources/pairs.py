"""Pairs of texts of the user, from two columns or keys of one file."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.examples import Pair
from lightning_transformer.data.records import Records
from lightning_transformer.data.sources._own_rows import OwnRows
from lightning_transformer.data.split import ExampleList, Record


@dataclass(kw_only=True, eq=False)
class PairedText(OwnRows):
    """Pairs from the rows of .jsonl, .json, .csv, .tsv, .parquet or .arrow files.

    How they are split and which rows are dropped: see `OwnRows`, by the source; rows in which one
    side is empty are. Both sides are cut to seq_len tokens; how many were longer is logged. Two
    files with a line each are read by `ParallelText`.

    path, val_path, test_path: files, or patterns. source_key, target_key: their keys or columns;
    a.b is b within a. Fractions are in [0, 1). seq_len: tokens without special ones.
    Raises ValueError for malformed files and missing keys.
    """

    name = "pairs"
    example = Pair

    bucket_steps: int = 128
    source_key: str = "source"
    target_key: str = "target"

    def make_record(self, place: str, values: tuple[str, ...]) -> Record | None:
        source, target = (value.strip() for value in values)
        return Record((source, target)) if source and target else None

    def read(self) -> dict[str, Records]:
        """Return the pairs of each split in the order of the rows."""
        return self.read_keys((self.source_key, self.target_key))

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        pairs = encode.pairs(records, self.vocabulary)
        return encode.example_split(encode.truncate_pairs(split, pairs, self.seq_len))
