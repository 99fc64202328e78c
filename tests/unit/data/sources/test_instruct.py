"""Source instruct on files of the test's own."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.sources.instruct import Instructions
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.helpers.examples import first_examples


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    path = folder / "answers.jsonl"
    rows = [{"prompt": f"What is {i}?", "response": f"It is {i}."} for i in range(400)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return {"path": path}


def make(path: Path, rows: list[dict[str, str]], **options: Any) -> Instructions:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    fractions = {"val_fraction": 0.0, "test_fraction": 0.0}
    return Instructions(path=str(path), tokenizer=Bytes(), **fractions | options)


def test_white_space_stays_and_long_rows_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        {"prompt": "Q: a\nA:", "response": " b\n"},
        {"prompt": "Q: a\nA:", "response": "far too long"},
        {"prompt": "  ", "response": "x"},
    ]
    data = make(tmp_path / "f.jsonl", rows, seq_len=8)
    with caplog.at_level(logging.INFO):
        data.prepare()
    (example,) = first_examples(data, "train", 1)
    assert [data.vocabulary.decode(side) for side in example[:2]] == ["Q: a\nA:", " b\n"]
    assert len(data.splits["train"]) == 1
    assert "1 of 2 examples are longer than seq_len=8: dropped" in caplog.text
    assert "1 rows without prompt or response dropped" in caplog.text


def test_other_keys_and_none_that_is_short_enough(tmp_path: Path) -> None:
    rows = [{"question": "a", "answer": "bcd"}]
    keys = {"prompt_key": "question", "response_key": "answer"}
    data = make(tmp_path / "f.jsonl", rows, **keys)
    assert [r.texts for r in data.read()["train"]] == [("a", "bcd")]
    with pytest.raises(ValueError, match=r"no pair within data.seq_len=2 tokens; raise it"):
        make(tmp_path / "f.jsonl", rows, **keys, seq_len=2).prepare()
