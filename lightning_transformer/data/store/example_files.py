"""Pairs, labels, numbers and tags as files of numbers, mapped into memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lightning_transformer.data.compact import Compact
from lightning_transformer.data.split import ExampleList
from lightning_transformer.data.store.columns import Column, mapped, spot_sha256

DOCUMENTS = "documents"  # column of the number of the document of each example
LENGTHS = "sizes"  # of what a split says of itself: one number for each example, or two


def write_examples(folder: Path, splits: Mapping[str, ExampleList]) -> dict[str, Any]:
    """Write the columns of each split; return the entries of the manifest."""
    entries, files = {}, {}
    for name, split in splits.items():
        assert isinstance(split.examples, Compact), "examples of the kinds of data/examples.py"
        columns = dict(split.examples.columns)
        columns[LENGTHS] = split.lengths.ravel()
        if split.of is not None:
            columns[DOCUMENTS] = split.of
        for key, values in columns.items():
            column = Column(folder / f"{name}.{key}", values.dtype)
            column.cut_to(0)
            column.append(values)
            column.close()
            files[f"{name}.{key}"] = spot_sha256(folder / f"{name}.{key}")
        types = {key: values.dtype.str for key, values in columns.items()}
        entries[name] = {"columns": types, "n_tokens": split.n_tokens}
    return {"splits": entries, "files": files}


def open_examples(
    folder: Path, manifest: dict[str, Any], kind: type[Any]
) -> dict[str, ExampleList]:
    """The splits of a complete corpus of examples of one kind."""
    found = {}
    for name, entry in manifest["splits"].items():
        columns: dict[str, np.ndarray] = {
            key: mapped(folder / f"{name}.{key}", dtype) for key, dtype in entry["columns"].items()
        }
        of, lengths = columns.pop(DOCUMENTS, None), columns.pop(LENGTHS)
        examples = Compact(kind, columns)
        if len(lengths) > len(examples):  # of both sides of pairs
            lengths = lengths.reshape(len(examples), -1)
        found[name] = ExampleList(examples, entry["n_tokens"], of, lengths)
    return found
