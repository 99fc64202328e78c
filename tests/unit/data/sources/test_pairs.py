"""Source pairs on files of the test's own."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.sources.pairs import PairedText
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.helpers.examples import first_examples


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    path = folder / "pairs.tsv"
    rows = "".join(f"The number is {i}.\tDie Zahl ist {i}.\n" for i in range(400))
    path.write_text(f"source\ttarget\n{rows}")
    return {"path": path}


def make(path: Path, **options) -> PairedText:
    options = {"val_fraction": 0.0, "test_fraction": 0.0, **options}
    return PairedText(path=str(path), tokenizer=Bytes(), **options)


def train(data: PairedText) -> list[tuple[str, ...]]:
    return [record.texts for record in data.read()["train"]]


def test_two_columns_without_names(tmp_path):
    (tmp_path / "f.txt").write_text('"a" said\tb\nc\td\n')
    data = make(tmp_path / "f.txt", format="tsv", columns=["source", "target"], quote=None)
    assert train(data) == [('"a" said', "b"), ("c", "d")]


def test_keys_within_a_key(tmp_path):
    (tmp_path / "f.jsonl").write_text(json.dumps({"translation": {"en": "a", "de": "b"}}))
    keys = {"source_key": "translation.en", "target_key": "translation.de"}
    data = make(tmp_path / "f.jsonl", **keys, seq_len=1)
    data.prepare()
    (example,) = first_examples(data, "train", 1)
    assert [data.vocabulary.decode(side) for side in example[:2]] == ["a", "b"]


def test_rows_with_an_empty_side_are_dropped_and_counted(tmp_path, caplog):
    (tmp_path / "f.csv").write_text("source,target\na,b\n,c\nd, \ne,NA\n")
    with caplog.at_level(logging.INFO):
        assert train(make(tmp_path / "f.csv", null_values=["NA"])) == [("a", "b")]
    assert "3 rows without source or target dropped" in caplog.text


def test_equal_sources_stay_together_and_given_files_win(tmp_path):
    rows = "".join(f"s{i % 40},t{i}\n" for i in range(200))
    (tmp_path / "f.csv").write_text(f"source,target\n{rows}")
    (tmp_path / "v.csv").write_text("source,target\nv,w\n")
    data = make(tmp_path / "f.csv", val_path=str(tmp_path / "v.csv"), test_fraction=0.3)
    found = {split: [r.texts for r in records] for split, records in data.read().items()}
    assert found["val"] == [("v", "w")]
    parts = [{source for source, _ in found[split]} for split in ("train", "test")]
    assert len(parts[0] | parts[1]) == 40 == sum(map(len, parts))
    with pytest.raises(ValueError, match="no column 'src'; found: source, target"):
        list(make(tmp_path / "f.csv", source_key="src").read()["train"])
