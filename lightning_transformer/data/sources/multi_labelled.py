"""Texts of the user with several labels each, from JSON, CSV, Parquet or Arrow files."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.examples import MultiLabelled as MultiLabelledExample
from lightning_transformer.data.formats.row_options import listed
from lightning_transformer.data.records import Records
from lightning_transformer.data.sources._own_rows import OwnRows
from lightning_transformer.data.split import ExampleList, Record


@dataclass(kw_only=True, eq=False)
class MultiLabelledText(OwnRows):
    """Texts with any number of labels, from the files that `LabelledText` reads.

    Labels are a list (JSON, Parquet, Arrow), or a text with label_delimiter between them; white
    space around one is dropped, and one that stands there twice counts once. An empty list or text
    is no label; a missing value drops the row. The labels are those of the training split in sorted
    order. Splits, dropped rows and long texts as in `LabelledText`.

    path, val_path, test_path: files, or patterns. text_key, label_key: their keys or columns.
    Fractions are in [0, 1). seq_len: tokens without special ones.
    Raises ValueError for malformed files, missing keys, empty labels within a list, fewer than two
    labels in all, and labels that training lacks.
    """

    name = "multi_labelled"
    example = MultiLabelledExample

    bucket_steps: int = 128
    text_key: str = "text"
    label_key: str = "labels"
    label_delimiter: str = "|"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.label_delimiter, str) or not self.label_delimiter:
            raise ValueError(
                f"data.label_delimiter={self.label_delimiter!r} must be text, for example '|'"
            )

    def make_record(self, place: str, values: tuple[str, ...]) -> Record | None:
        text, given = values
        if not text.strip():
            return None
        labels = listed(given)
        if labels is None:
            labels = given.split(self.label_delimiter) if given.strip() else []
        labels = [label.strip() for label in labels]
        if "" in labels:
            raise ValueError(
                f"{place}: {self.label_key} has an empty label beside others; leave it out (an "
                "empty list stands for no label)"
            )
        return Record((text.strip(),), sorted(set(labels)))

    def read(self) -> dict[str, Records]:
        """Return the texts of each split in the order of the rows, and set `labels`."""
        records = self.read_keys((self.text_key, self.label_key), lists=(self.label_key,))
        self.labels = sorted({label for record in records["train"] for label in record.note})
        if len(self.labels) < 2:
            found = f"only {self.labels[0]!r}" if self.labels else "none"
            raise ValueError(
                f"data.label_key={self.label_key} holds fewer than two labels in training: {found};"
                " give the key of the labels, or their delimiter by data.label_delimiter"
            )
        return records

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        return encode.multi_labelled(split, records, self.vocabulary, self.labels, self.seq_len)
