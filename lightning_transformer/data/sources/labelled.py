"""Labelled texts of the user, from JSON, CSV, Parquet or Arrow files."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.examples import Labelled as LabelledExample
from lightning_transformer.data.records import Records
from lightning_transformer.data.sources._own_rows import OwnRows
from lightning_transformer.data.split import ExampleList, Record

MANY = 20
"""More different labels than this are no classes where they are numbers such as 3.52."""


def _number(label: str) -> float:
    try:
        return float(label)
    except ValueError:
        return math.nan


def check_classes(labels: Iterable[str], label_key: str) -> list[str]:
    """Return the different labels in sorted order.

    Raises ValueError where they are no classes: numbers with a fraction of which there are more
    than 20, or one for more than half of the texts; or one number that is spelled in two ways.
    """
    counts = Counter(labels)
    names, numbers = sorted(counts), {label: _number(label) for label in counts}
    if all(math.isfinite(number) for number in numbers.values()):
        by_value: dict[float, str] = {}
        for name in names:
            other = by_value.setdefault(numbers[name], name)
            if other != name:
                raise ValueError(
                    f"data.label_key={label_key}: labels {other!r} and {name!r} are the same "
                    f"number; write both as {min(other, name, key=len)}"
                )
        fractions = [name for name in names if not numbers[name].is_integer()]
        if fractions and (len(names) > MANY or 2 * len(names) > sum(counts.values()) > 2):
            raise ValueError(
                f"data.label_key={label_key} holds {len(names)} numbers such as {fractions[0]}, "
                "which are no classes; use task=regression data=rated, or the key of the classes"
            )
    return names


@dataclass(kw_only=True, eq=False)
class LabelledText(OwnRows):
    """Texts with one label each, from .jsonl, .json, .csv, .tsv, .parquet or .arrow files.

    How they are split and which rows are dropped: see `OwnRows`, and rows without text are. The
    labels, without white space around them, are those of the training split in sorted order.
    Texts are cut to seq_len tokens; how many were longer is logged.

    path, val_path, test_path: files, or patterns. text_key, label_key: their keys or columns; a.b
    is b within a. document_key: that of the name of the document that a text is cut out of; None =
    each text is a document. Fractions are in [0, 1). seq_len: tokens without special ones.
    Raises ValueError for malformed files, missing keys, empty labels, labels that are no classes
    and labels that training lacks.
    """

    name = "labelled"
    example = LabelledExample

    bucket_steps: int = 128
    text_key: str = "text"
    label_key: str = "label"
    document_key: str | None = None

    def make_record(self, place: str, values: tuple[str, ...]) -> Record | None:
        text, label, *document = (value.strip() for value in values)
        if not text:
            return None
        if not label:
            raise ValueError(
                f"{place}: {self.label_key} is empty; give the label, or drop such rows by "
                "\"data.null_values=['']\""
            )
        return Record((text,), label, document[0] if document else None)

    def read(self) -> dict[str, Records]:
        """Return the texts of each split in the order of the rows, and set `labels`."""
        further = () if self.document_key is None else (self.document_key,)
        records = self.read_keys((self.text_key, self.label_key, *further))
        self.labels = check_classes((r.note for r in records["train"]), self.label_key)
        return records

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        return encode.labelled(split, records, self.vocabulary, self.labels, self.seq_len)
