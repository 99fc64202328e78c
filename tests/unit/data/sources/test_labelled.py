"""Source labelled on files of the test's own."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.sources.labelled import LabelledText
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.helpers.examples import first_examples


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    path = folder / "reviews.jsonl"
    rows = ({"text": f"review {i}", "label": i % 3} for i in range(400))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"path": path}


@pytest.fixture
def write(tmp_path):
    def writer(rows, name="f.jsonl", keys=("text", "label")) -> str:
        content = "".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in rows)
        (tmp_path / name).write_text(content)
        return str(tmp_path / name)

    return writer


def make(path: str, **options) -> LabelledText:
    return LabelledText(path=path, tokenizer=Bytes(), **options)


ROWS = [(f"text {i % 150}", "neg" if i % 2 else "pos") for i in range(300)]


def test_texts_labels_and_splits(write):
    data = make(write(ROWS))
    data.prepare()
    assert data.labels == ["neg", "pos"]
    assert sum(map(len, data.splits.values())) == 300
    for split in ("train", "val", "test"):
        for example in first_examples(data, split, 300):
            number = int(data.vocabulary.decode(example.ids).split()[1])
            assert data.labels[example.label] == ("neg" if number % 2 else "pos")
    texts = [{r.texts[0] for r in part} for part in data.read().values()]
    assert sum(map(len, texts)) == 150


def test_other_keys_numbers_as_labels_and_given_files(write):
    keys = ("review", "stars")
    path = write([("good", 5), ("bad", 1)], keys=keys)
    test = write([("meh", 1)], "test.jsonl", keys)
    options = {"text_key": "review", "label_key": "stars", "val_fraction": 0.0, "test_path": test}
    data = make(path, **options)
    data.prepare()
    assert data.labels == ["1", "5"]
    assert [e.label for e in first_examples(data, "train", 9)] == [1, 0]
    assert [e.label for e in first_examples(data, "test", 9)] == [0]


def test_rows_without_text_are_dropped_and_counted(write, caplog):
    path = write([("a", "x"), (" ", "y"), ("", "z")])
    with caplog.at_level(logging.INFO):
        data = make(path, val_fraction=0.0, test_fraction=0.0)
        data.prepare()
    assert data.labels == ["x"]
    assert "2 rows without text dropped" in caplog.text


def test_a_label_that_training_lacks_is_refused(write):
    test = write([("a", "x"), ("b", "new")], "test.jsonl")
    data = make(write([("a", "x")]), val_fraction=0.0, test_path=test)
    with pytest.raises(ValueError, match=r"label 'new' at test example 2 is not among .*: x"):
        data.prepare()


def test_a_missing_key_is_refused_with_the_keys_found(write):
    path = write(ROWS[:2], keys=("txt", "label"))
    with pytest.raises(ValueError, match=r"f.jsonl:1: no key 'text'; found: label, txt"):
        make(path).prepare()
