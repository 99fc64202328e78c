"""Source package: disguise, snippets, splitting by file, and the running Python."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.sources import _stdlib
from lightning_transformer.data.sources.package import (
    PACKAGES,
    Package,
    disguise,
    hold_out,
    snippets,
    spread,
)
from lightning_transformer.data.split import Record
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.helpers.examples import first_examples


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    return {"max_per_class": 16}


def test_disguise_by_hand():
    source = """import json
from json.decoder import (JSONDecoder,
                          scanner)
    from . import x  # indented
important = from_json("json", JSON.dumps)
"""
    assert disguise(source, "json") == 'important = from_json("_", _.dumps)\n'


def test_snippets_start_at_lines_and_have_their_size():
    assert snippets("ab\ncdef\ng\nhi\n", 4) == ["ab\nc", "g\nhi"]
    assert snippets("abc\ndef\n", 4) == ["abc\n", "def\n"]
    assert snippets("abcdefgh", 4) == ["abcd"]
    assert snippets("abc", 4) == []
    assert snippets("abcé\n", 4) == ["abc"]


def test_spread_takes_equal_distances():
    records = [Record((str(i),)) for i in range(10)]
    assert [r.texts[0] for r in spread(records, 4)] == ["0", "2", "5", "7"]
    assert spread(records, 10) == spread(records, 99) == records


def files(*sizes: int) -> dict[str, list[Record]]:
    return {f"f{i}": [Record((f"f{i} {j}",)) for j in range(size)] for i, size in enumerate(sizes)}


@pytest.mark.parametrize(
    "sizes", [(1, 1, 1), (100, 1, 1), (1, 100, 100), (5,) * 40, (50, 30, 20, 10, 5, 1)]
)
def test_whole_files_are_held_out_and_each_split_has_some(sizes):
    parts = hold_out(files(*sizes))
    names = {split: {r.texts[0].split()[0] for r in part} for split, part in parts.items()}
    assert all(names.values())
    assert sum(map(len, names.values())) == len(set.union(*names.values())) == len(sizes)
    assert sum(map(len, parts.values())) == sum(sizes)


def test_held_out_files_make_up_a_tenth():
    parts = hold_out(files(*range(5, 45)))
    total = sum(range(5, 45))
    for split in ("val", "test"):
        assert total / 10 <= len(parts[split]) < total / 10 + 45


@pytest.fixture(scope="module")
def data() -> Package:
    data = Package(tokenizer=Bytes())
    data.prepare()
    return data


def test_each_class_is_in_each_split_and_roughly_balanced(data):
    # tkinter is a package of its own in some distributions
    assert set(PACKAGES) - {"tkinter"} <= set(data.labels) <= set(PACKAGES)
    for split, most in (("train", 500), ("val", 125), ("test", 125)):
        counts = Counter(e.label for e in first_examples(data, split, 10**6))
        assert set(counts) == set(range(len(data.labels)))
        assert max(counts.values()) == most
        assert min(counts.values()) >= most / 10


def test_snippets_do_not_name_their_package(data):
    for record in data.read()["train"]:
        assert f"import {record.note}" not in record.texts[0]
        assert f" {record.note} " not in record.texts[0]
        assert len(record.texts[0].encode()) <= 128


def test_no_text_occurs_twice(data):
    texts = [r.texts[0] for part in data.read().values() for r in part]
    assert len(texts) == len(set(texts))


def test_absent_packages_are_skipped_with_a_line(monkeypatch, caplog):
    present = [f for f in _stdlib.source_files() if f.name.split("/")[0] in ("email", "asyncio")]
    monkeypatch.setattr(_stdlib, "source_files", lambda: present)
    with caplog.at_level(logging.INFO):
        data = Package(tokenizer=Bytes(), max_per_class=8)
        data.prepare()
    assert data.labels == ["asyncio", "email"]
    assert "no three files of ctypes, json, multiprocessing" in caplog.text
    assert len(data.splits["train"]) == 16
    assert len(data.splits["test"]) == 4


def test_mistakes_are_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"data.max_per_class=3 must be at least 4"):
        Package(tokenizer=Bytes(), max_per_class=3)
    monkeypatch.setattr(_stdlib, "source_files", list)
    with pytest.raises(ValueError, match="fewer than two packages") as caught:
        Package(tokenizer=Bytes()).prepare()
    assert "\n" not in str(caught.value)
