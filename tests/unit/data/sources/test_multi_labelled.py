"""Source multi_labelled on files of the test's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lightning_transformer.data import base
from lightning_transformer.data.sources.multi_labelled import MultiLabelledText
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.helpers.examples import first_examples

ROWS: list[tuple[str, list[str]]] = [
    ("one", ["b", "a"]),
    ("two", []),
    ("three", ["c"]),
    ("four", ["a", " a "]),
]
NUMBERS = [[0, 1], [], [2], [0]]


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    path = folder / "several.jsonl"
    rows = ({"text": f"text {i}", "labels": ["x", "y", "z"][: i % 4]} for i in range(400))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"path": path}


def make(path: Path, **options: Any) -> MultiLabelledText:
    given = {"val_fraction": 0.0, "test_fraction": 0.0, **options}
    return MultiLabelledText(path=str(path), tokenizer=Bytes(), **given)


def jsonl(folder: Path, rows: Any = ROWS, name: str = "f.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps({"text": t, "labels": ls}) + "\n" for t, ls in rows))
    return path


def delimited(folder: Path, delimiter: str = "|") -> Path:
    path = folder / "f.csv"
    lines = [f"{text},{delimiter.join(labels)}" for text, labels in ROWS]
    path.write_text("\n".join(["text,labels", *lines]) + "\n")
    return path


def parquet(folder: Path) -> Path:
    path = folder / "f.parquet"
    texts, labels = zip(*ROWS, strict=True)
    kind = pa.list_(pa.string())
    pq.write_table(pa.table({"text": texts, "labels": pa.array(labels, type=kind)}), path)
    return path


def as_json(folder: Path) -> Path:
    path = folder / "f.json"
    path.write_text(json.dumps([{"text": t, "labels": labels} for t, labels in ROWS]))
    return path


@pytest.mark.parametrize("write", [jsonl, delimited, parquet, as_json])
def test_labels_are_the_same_from_every_format(tmp_path: Path, write: Any) -> None:
    data = make(write(tmp_path))
    data.prepare()
    assert data.labels == ["a", "b", "c"]
    found = first_examples(data, "train", 9)
    assert [data.vocabulary.decode(e.ids) for e in found] == [text for text, _ in ROWS]
    assert [e.classes.tolist() for e in found] == NUMBERS
    assert data.splits["train"].n_tokens == sum(len(text) for text, _ in ROWS)


def test_other_delimiters_and_numbers_as_labels(tmp_path: Path) -> None:
    data = make(delimited(tmp_path, "; "), label_delimiter=";")
    data.prepare()
    assert [e.classes.tolist() for e in first_examples(data, "train", 9)] == NUMBERS
    data = make(jsonl(tmp_path, [("a", [3, 1]), ("b", [2])]))
    data.prepare()
    assert data.labels == ["1", "2", "3"]


def test_an_item_of_a_list_may_hold_the_delimiter(tmp_path: Path) -> None:
    data = make(jsonl(tmp_path, [("a", ["x|y"]), ("b", ["z"])]))
    data.prepare()
    assert data.labels == ["x|y", "z"]


def test_large_files_are_read_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    path, found = jsonl(tmp_path), []
    for size in (10**9, 0, 0):
        monkeypatch.setattr(base, "STORED_FROM", size)
        data = make(path)
        data.prepare()
        rows = [(e.ids.tolist(), e.classes.tolist()) for e in first_examples(data, "train", 9)]
        found.append((data.labels, data.identity, data.splits["train"].n_tokens, rows))
    assert found[0] == found[1] == found[2]
    assert np.issubdtype(first_examples(data, "train", 1)[0].classes.dtype, np.integer)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", ["x"]), ("b", ["x"])], "fewer than two labels in training: only 'x'"),
        ([("a", []), ("b", [])], "fewer than two labels in training: none"),
        ([("a", ["x", ""]), ("b", ["y"])], r"f.jsonl:1: labels has an empty label beside others"),
        ([("a", ["x", ["y"]])], r"key 'labels' must hold text or a number"),
        ([("a", {"x": 1})], r"key 'labels' must hold text or a number"),
    ],
)
def test_what_is_no_list_of_labels_is_refused(tmp_path: Path, rows: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(jsonl(tmp_path, rows)).prepare()


def test_a_label_that_training_lacks_is_refused(tmp_path: Path) -> None:
    test = jsonl(tmp_path, [("e", ["a", "new"])], "test.jsonl")
    data = make(jsonl(tmp_path), test_path=str(test))
    with pytest.raises(ValueError, match=r"label 'new' at test example 1 is not among .*: a, b, c"):
        data.prepare()


def test_rows_without_a_value_are_dropped_and_an_empty_list_is_kept(tmp_path: Path) -> None:
    rows: Any = [*ROWS, ("five", None), ("", ["a"])]
    data = make(jsonl(tmp_path, rows))
    data.prepare()
    assert len(data.splits["train"]) == 4


def test_an_empty_delimiter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.label_delimiter='' must be text"):
        make(jsonl(tmp_path), label_delimiter="")
