"""Source labelled on files of the test's own."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.sources.labelled import LabelledText, check_classes
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
    assert caplog.text.count("2 rows without text or label dropped") == 1


def test_a_label_that_training_lacks_is_refused(write):
    test = write([("a", "x"), ("b", "new")], "test.jsonl")
    data = make(write([("a", "x")]), val_fraction=0.0, test_path=test)
    with pytest.raises(ValueError, match=r"label 'new' at test example 2 is not among .*: x"):
        data.prepare()


def test_a_missing_key_is_refused_with_the_keys_found(write):
    path = write(ROWS[:2], keys=("txt", "label"))
    with pytest.raises(ValueError, match=r"f.jsonl:1: no key 'text'; found: label, txt"):
        make(path).prepare()


def test_texts_may_name_the_document_that_they_are_cut_out_of(write):
    rows = [(f"t{i}", "a", f"p{i % 3}") for i in range(40)]
    data = make(write(rows, keys=("text", "label", "page")), document_key="page")
    records = [record for found in data.read().values() for record in found]
    assert {r.texts[0]: r.document for r in records} == {text: page for text, _, page in rows}


def test_white_space_around_labels_is_no_part_of_them(write):
    data = make(write([("x", " a"), ("y", "a "), ("z", "b")]), val_fraction=0.0, test_fraction=0.0)
    data.prepare()
    assert data.labels == ["a", "b"]


def test_an_empty_label_is_refused_and_the_advice_is_taken(write):
    path = write([("x", "a"), ("y", " "), ("z", "")])
    options = {"val_fraction": 0.0, "test_fraction": 0.0}
    with pytest.raises(
        ValueError, match=r"f.jsonl:2: label is empty; .* \"data.null_values=\[''\]\""
    ):
        make(path, **options).prepare()
    path = write([("x", "a"), ("z", "")])
    data = make(path, null_values=[""], **options)
    data.prepare()
    assert len(data.splits["train"]) == 1


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (
            [f"{i / 8:.2f}" for i in range(200)],
            "holds 200 numbers such as 0.12, which are no class",
        ),
        (
            ["0.5", "1.5", "2.5", "3"],
            "holds 4 numbers such as 0.5, which are no classes; use task=",
        ),
        (["1", "1.0", "2", "2"], "labels '1' and '1.0' are the same number; write both as 1"),
        (["1e1", "10", "2", "2"], "labels '10' and '1e1' are the same number; write both as 10"),
    ],
)
def test_numbers_that_are_no_classes_are_refused(labels, match):
    with pytest.raises(ValueError, match=match):
        check_classes(labels, "label")


@pytest.mark.parametrize(
    "labels", [["0.5", "1.5", "2.0"] * 9, [str(i) for i in range(100)], ["1", "1.0", "x"], ["0.5"]]
)
def test_numbers_that_are_classes_are_kept(labels):
    assert check_classes(labels, "label") == sorted(set(labels))


def test_labels_of_a_table_and_null_labels(tmp_path, caplog):
    (tmp_path / "f.tsv").write_text("text\tlabel\nx\tNA\ny\ta\n")
    options = {"val_fraction": 0.0, "test_fraction": 0.0, "null_values": ["NA"]}
    data = make(str(tmp_path / "f.tsv"), **options)
    with caplog.at_level(logging.INFO):
        data.prepare()
    assert data.labels == ["a"]
    assert "1 rows without text or label dropped" in caplog.text


def test_equal_records_each_time_that_they_are_read(write):
    records = make(write(ROWS)).read()["train"]
    assert list(records) == list(records) != []
