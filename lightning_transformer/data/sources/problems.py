"""Prompts and their answers of the user, from two keys or columns of one file."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.examples import Pair
from lightning_transformer.data.records import Records
from lightning_transformer.data.sources._own_rows import OwnRows
from lightning_transformer.data.split import ExampleList, Record


@dataclass(kw_only=True, eq=False)
class Problems(OwnRows):
    """Problems from the rows of .jsonl, .json, .csv, .tsv, .parquet or .arrow files.

    How they are split and which rows are dropped: see `OwnRows`, by the prompt; rows in which one
    side is empty are. White space stays as it is. A row with a side of more than seq_len tokens is
    left out, and counted in the log, never cut: another answer would be right for it.

    path, val_path, test_path: files, or patterns. prompt_key, answer_key: their keys or columns;
    a.b is b within a. Fractions are in [0, 1). seq_len: tokens of a side without special ones.
    Raises ValueError for malformed files, missing keys, and where no row is short enough.
    """

    name = "problems"
    example = Pair

    bucket_steps: int = 128
    prompt_key: str = "prompt"
    answer_key: str = "answer"

    def make_record(self, place: str, values: tuple[str, ...]) -> Record | None:
        prompt, answer = values
        return Record((prompt, answer)) if prompt.strip() and answer.strip() else None

    def read(self) -> dict[str, Records]:
        """Return the problems of each split in the order of the rows."""
        return self.read_keys((self.prompt_key, self.answer_key))

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        pairs = encode.pairs(records, self.vocabulary)
        kept = encode.short_pairs(split, pairs, self.seq_len)
        return encode.example_split([pairs[i] for i in kept])
