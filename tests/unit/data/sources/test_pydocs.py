"""Source pydocs on the running Python."""

from __future__ import annotations

import pytest

from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.packing.stream import Stream
from lightning_transformer.data.sources import _stdlib
from lightning_transformer.data.sources.pydocs import PyDocs
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.helpers.examples import first_examples

LONG = "This docstring is long enough. " * 4


def make(**options) -> PyDocs:
    return PyDocs(tokenizer=Bytes(), packing=Stream(), **options)


@pytest.fixture(scope="module")
def data() -> PyDocs:
    data = make()
    data.prepare()
    return data


@pytest.mark.slow
def test_sizes(data):
    assert data.identity.bytes > 1_500_000
    sizes = {split: s.n_tokens for split, s in data.splits.items()}
    assert sizes["train"] == data.identity.n_tokens
    assert 0.80 < sizes["train"] / sum(sizes.values()) < 0.95
    assert len(data.splits["train"]) == (sizes["train"] - 1) // 128


def test_examples_are_english_rows(data):
    (row,) = first_examples(data, "train", 1)
    assert isinstance(row, Tokens)
    assert len(row.ids) == 129
    assert data.vocabulary.decode(row.ids).isprintable() or "\n" in data.vocabulary.decode(row.ids)


def test_a_second_one_is_identical(data):
    again = make()
    again.prepare()
    assert again.identity == data.identity


def test_documents_by_hand(monkeypatch):
    monkeypatch.setattr(_stdlib, "topics", lambda: {"if": "IF", "for": "FOR"})
    strings = {"a.py": [LONG + "1", "short", LONG + "1"], "b.py": [LONG + "1", LONG + "2"]}
    monkeypatch.setattr(_stdlib, "docstrings", lambda: {**strings, "c.py": [LONG + "2", "x" * 80]})
    records = make().read()
    texts = sorted(record.texts[0] for part in records.values() for record in part)
    assert texts == sorted(["IF", "FOR", LONG + "1", LONG + "2"])


def test_the_split_of_a_document_depends_on_its_name_alone(monkeypatch):
    monkeypatch.setattr(_stdlib, "docstrings", lambda: {})
    names = [f"t{i}" for i in range(400)]

    def splits(text):
        monkeypatch.setattr(_stdlib, "topics", lambda: {n: f"{text} {n}" for n in names})
        return {
            record.texts[0].split()[-1]: split
            for split, records in make().read().items()
            for record in records
        }

    assert splits("one") == splits("another")
    counts = [list(splits("one").values()).count(split) for split in ("train", "val", "test")]
    assert sum(counts) == 400
    assert 330 <= counts[0] <= 385
    assert min(counts[1:]) >= 5


def test_without_sources_the_reference_alone(monkeypatch):
    monkeypatch.setattr(_stdlib, "source_files", lambda: [])
    data = make()
    data.prepare()
    assert 400_000 < data.identity.bytes < 700_000
