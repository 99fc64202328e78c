"""Source rated on files of the test's own."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.sources.rated import RatedText
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.helpers.examples import first_examples

Write = Callable[[Sequence[tuple[str, Any]]], str]


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    path = folder / "rated.jsonl"
    rows = ({"text": f"review {i}", "label": i % 9 / 4} for i in range(400))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"path": path}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writer(rows: Sequence[tuple[str, Any]]) -> str:
        content = "".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in rows)
        (tmp_path / "f.jsonl").write_text(content)
        return str(tmp_path / "f.jsonl")

    return writer


def make(path: str, **options: Any) -> RatedText:
    return RatedText(path=path, tokenizer=Bytes(), **options)


def test_texts_keep_their_numbers_in_every_split(write: Write) -> None:
    data = make(write([(f"text {i % 150}", i % 150 / 8 - 3) for i in range(300)]))
    data.prepare()
    assert sum(map(len, data.splits.values())) == 300
    for split in ("train", "val", "test"):
        for example in first_examples(data, split, 300):
            number = int(data.vocabulary.decode(example.ids).split()[1])
            assert example.label == number / 8 - 3
    texts = [{r.texts[0] for r in part} for part in data.read().values()]
    assert sum(map(len, texts)) == 150


def test_columns_of_text_and_whole_numbers(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("review,stars\ngood,5\nbad,1e-1\n")
    data = make(
        str(tmp_path / "f.csv"),
        text_key="review",
        label_key="stars",
        val_fraction=0.0,
        test_fraction=0.0,
    )
    data.prepare()
    assert [e.label for e in first_examples(data, "train", 9)] == [5.0, 0.1]
    assert all(type(e.label) is float for e in first_examples(data, "train", 9))


def test_rows_without_text_are_dropped_and_counted(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    path = write([("a", 1), (" ", 2), ("", "x")])
    with caplog.at_level(logging.INFO):
        make(path, val_fraction=0.0, test_fraction=0.0).prepare()
    assert "2 rows without text or label dropped" in caplog.text


@pytest.mark.parametrize("label", ["good", "nan", "inf", ""])
def test_what_is_no_number_is_refused_with_its_place(write: Write, label: str) -> None:
    path = write([("a", 1), ("b", label)])
    with pytest.raises(ValueError, match=rf"f\.jsonl:2: label '{label}' must be a finite"):
        make(path, val_fraction=0.0, test_fraction=0.0).prepare()
