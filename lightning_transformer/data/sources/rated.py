"""Texts of the user with a number each, from JSON, CSV, Parquet or Arrow files."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.examples import Rated as RatedExample
from lightning_transformer.data.records import Records
from lightning_transformer.data.sources._own_rows import OwnRows
from lightning_transformer.data.split import ExampleList, Record


@dataclass(kw_only=True, eq=False)
class RatedText(OwnRows):
    """Texts with a number each, such as a rating, from the files that `LabelledText` reads.

    Splits, dropped rows and long texts as there. Numbers are taken as they are.

    path, val_path, test_path: files, or patterns. text_key, label_key: their keys or columns.
    Fractions are in [0, 1). seq_len: tokens without special ones.
    Raises ValueError for malformed files, missing keys and labels that are no finite number.
    """

    name = "rated"
    example = RatedExample

    bucket_steps: int = 128
    text_key: str = "text"
    label_key: str = "label"

    def make_record(self, place: str, values: tuple[str, ...]) -> Record | None:
        text, label = (value.strip() for value in values)
        return Record((text,), _number(label, place, self.label_key)) if text else None

    def read(self) -> dict[str, Records]:
        """Return the texts of each split in the order of the rows."""
        return self.read_keys((self.text_key, self.label_key))

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        return encode.rated(split, records, self.vocabulary, self.seq_len)


def _number(text: str, where: str, key: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(
            f"{where}: {key} {text!r} must be a finite number, such as 3.5; for classes use "
            "task=classification data=labelled"
        )
    return number
