"""Source preferences on files of the test's own."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.sources.preferences import Preferences
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.helpers.examples import first_examples

Row = dict[str, str]


def row(prompt: str, chosen: str, rejected: str) -> Row:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    path = folder / "preferences.jsonl"
    rows = [row(f"What is {i}?", f"It is {i}.", "Who knows?") for i in range(400)]
    path.write_text("".join(f"{json.dumps(r)}\n" for r in rows))
    return {"path": path}


def make(path: Path, rows: list[Row], **options: Any) -> Preferences:
    path.write_text("".join(f"{json.dumps(r)}\n" for r in rows))
    fractions = {"val_fraction": 0.0, "test_fraction": 0.0}
    return Preferences(path=str(path), tokenizer=Bytes(), **fractions | options)


def test_white_space_stays_and_long_rows_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [row("Q: a\n", " b\n", " c"), row("Q: a\n", " b", " far too long")]
    data = make(tmp_path / "f.jsonl", rows, seq_len=8)
    with caplog.at_level(logging.INFO):
        data.prepare()
    (example,) = first_examples(data, "train", 1)
    assert [data.vocabulary.decode(side) for side in example] == ["Q: a\n", " b\n", " c"]
    assert "1 of 2 examples are longer than seq_len=8: dropped" in caplog.text
    split = data.splits["train"]
    assert (len(split), split.lengths.tolist(), split.n_tokens) == (1, [8], 10)


def test_a_csv_with_keys_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("q,good,bad\nWhy?,Because.,No.\n")
    keys = {"prompt_key": "q", "chosen_key": "good", "rejected_key": "bad"}
    data = Preferences(path=str(path), tokenizer=Bytes(), val_fraction=0, test_fraction=0, **keys)
    assert [r.texts for r in data.read()["train"]] == [("Why?", "Because.", "No.")]


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        (row("a", "b", "b"), r"f\.jsonl:2: chosen and rejected are the same text"),
        (row("a", " ", "b"), r"f\.jsonl:2: chosen is empty"),
        (row("a", "b", ""), r"f\.jsonl:2: rejected is empty"),
        (row("", "b", "c"), r"f\.jsonl:2: prompt is empty"),
    ],
)
def test_refuses(tmp_path: Path, bad: Row, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make(tmp_path / "f.jsonl", [row("a", "b", "c"), bad]).prepare()


def test_refuses_where_no_row_fits(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"within data.seq_len=2 tokens; raise it, .* to 4$"):
        make(tmp_path / "f.jsonl", [row("ab", "c", "de")], seq_len=2).prepare()
