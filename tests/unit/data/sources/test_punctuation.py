"""Source punctuation: which marks sentences had."""

from __future__ import annotations

import pytest

from lightning_transformer.data.sources import _stdlib
from lightning_transformer.data.sources.punctuation import Punctuation, marks_of
from lightning_transformer.data.tokenizers.bytes import Bytes


def test_marks_by_hand() -> None:
    assert marks_of("No mark stands within this one.") == []
    assert marks_of('It\'s "so", isn\'t it (e.g. here)?') == [
        "apostrophe", "brackets", "comma", "dot within", "quote",
    ]  # fmt: skip
    assert marks_of("A well-known rule: x = 1; y = 2.") == [
        "colon", "equals", "hyphen", "semicolon",
    ]  # fmt: skip


def test_the_words_and_labels_of_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "a": "It's the first one, of all. It's the first one of all. Another one (of many) is here."
    }
    monkeypatch.setattr(_stdlib, "topics", lambda: texts)
    monkeypatch.setattr(_stdlib, "docstrings", dict)
    data = Punctuation(tokenizer=Bytes())
    found = {r.texts[0]: r.note for records in data.read().values() for r in records}
    assert found == {
        "its the first one of all": ["apostrophe", "comma"],
        "another one of many is here": ["brackets"],
    }
