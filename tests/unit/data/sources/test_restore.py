"""Source restore: sentences, stripping and splitting."""

from __future__ import annotations

import pytest

from lightning_transformer.data.sources import _stdlib
from lightning_transformer.data.sources.restore import Restore, sentences, strip
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.helpers.examples import first_examples


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Don't (ever) sub-class os.path!", "dont ever subclass ospath"),
        ("A -- B, naïve: __init__() = 3.5.", "a b naïve __init__ 35"),
        ("...", ""),
    ],
)
def test_strip_by_hand(sentence, expected):
    assert strip(sentence) == expected


def test_sentences_by_hand():
    text = """Return the first of
    all items.  Raise an error if there
    is none!  too short. Is this one also kept here? e.g. it goes on.

A heading without a stop

This paragraph has no end
"""
    assert list(sentences(text)) == [
        "Return the first of all items.",
        "Raise an error if there is none! too short.",
        "Is this one also kept here? e.g. it goes on.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Too few words here.",
        "many words but no capital at its start.",
        "Many words but no stop at its end",
        "One " * 40 + "too many.",
        "Code such as >>> print(1) is not prose.",
        "A table | of several | columns is not prose.",
        "A line ---- of signs is not prose.",
    ],
)
def test_what_is_not_a_sentence(text):
    assert list(sentences(text)) == []


@pytest.fixture
def library(monkeypatch):
    def put(texts: list[str]) -> None:
        monkeypatch.setattr(_stdlib, "topics", dict)
        monkeypatch.setattr(_stdlib, "docstrings", lambda: {"a.py": texts})

    return put


def test_pairs_are_unique_and_equal_sources_stay_together(library):
    variants = [f"This is sentence number {i}{end}" for i in range(300) for end in (".", "!", "?")]
    library(variants + variants)
    records = Restore(tokenizer=Bytes()).read()
    pairs = [record.texts for part in records.values() for record in part]
    assert sorted(target for _, target in pairs) == sorted(variants)
    assert all(source == strip(target) for source, target in pairs)
    sources = [{r.texts[0] for r in records[split]} for split in ("train", "val", "test")]
    assert all(sources)
    assert sum(map(len, sources)) == len(set.union(*sources)) == 300
    assert len(sources[0]) > 240


def test_long_pairs_are_left_out(library):
    long, short = "This one has far too many letters.", "This one is so short."
    library([f"{text[:-1]} {i}." for i in range(100) for text in (long, short)])
    data = Restore(tokenizer=Bytes(), seq_len=30)
    data.prepare()
    examples = [e for split in data.splits for e in first_examples(data, split, 1000)]
    assert len(examples) == 100
    assert all(len(e.target) <= 30 for e in examples)
    assert data.vocabulary.decode(first_examples(data, "train", 1)[0].target).startswith(short[:-1])


def test_on_the_running_python():
    data = Restore(tokenizer=Bytes(), seq_len=192)
    data.prepare()
    assert sum(map(len, data.splits.values())) > 10_000
    assert len(data.splits["train"]) > 10 * len(data.splits["val"]) > 1000
    again = Restore(tokenizer=Bytes(), seq_len=192)
    again.prepare()
    assert again.identity == data.identity
