"""Overlaps of splits, held against sets of n-grams."""

from __future__ import annotations

import random

import pytest

from lightning_transformer.data.cleaning import leak_check
from lightning_transformer.data.cleaning.leak_check import LeakCheck

Splits = dict[str, list[str]]


def overlaps(splits: Splits, ngram: int) -> dict[str, dict[str, int]]:
    stage = LeakCheck(ngram)
    stage.begin()
    for split, texts in splits.items():
        for text in texts:
            assert stage.clean(split, (text,)) == (text,)
    return {split: of["overlapping"] for split, of in stage.found()["overlaps"].items()}


def grams(text: str, n: int) -> set[tuple[str, ...]]:
    words = text.split()
    n = min(n, len(words))
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)} if n else set()


def by_sets(splits: Splits, ngram: int) -> dict[str, dict[str, int]]:
    def n_shared(split: str, other: str) -> int:
        there = set().union(*(grams(text, ngram) for text in splits[other]))
        return sum(bool(grams(text, ngram) & there) for text in splits[split])

    held_out = [split for split in splits if split != "train"]
    return {
        split: {o: n_shared(split, o) for o in ["train", *held_out[i + 1 :]]}
        for i, split in enumerate(held_out)
    }


@pytest.mark.parametrize("many", [1, 100, 1 << 17])
def test_counts_are_those_of_sets(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leak_check, "MANY", many)
    draw = random.Random(5)

    def texts(n: int) -> list[str]:
        return [" ".join(draw.choices("abcdefg", k=draw.randrange(9))) for _ in range(n)]

    splits = {"test": texts(40), "val": texts(30), "train": texts(60)}
    for ngram in (1, 3, 5):
        found = overlaps(splits, ngram)
        assert found == by_sets(splits, ngram)
    assert 0 < found["test"]["train"] < 40


def test_by_hand() -> None:
    run = " ".join(f"w{i}" for i in range(13))
    splits = {
        "test": [f"x {run}", run[:-4], "only here"],
        "val": ["Only: HERE!", "y"],
        "train": [f"{run} z", "y y", "only here too"],
    }
    # 13 words in a row; a short document is found where another one is the same, but not within.
    assert overlaps(splits, 13) == {"test": {"train": 1, "val": 1}, "val": {"train": 0}}


def test_lines_and_shares() -> None:
    stage = LeakCheck(2)
    stage.begin()
    for split, text in (("test", "a b"), ("test", "c"), ("train", "a b c")):
        stage.clean(split, (text,))
    found = stage.found()
    assert found["overlaps"]["test"]["share"] == {"train": 0.5}
    assert stage.describe(found) == [
        "leak check: 1 of 2 test documents (50.0%) share 2 words in a row with train"
    ]


def test_documents_without_words_share_nothing() -> None:
    assert overlaps({"test": ["?", "!"], "train": ["?", "a"]}, 13) == {"test": {"train": 0}}


def test_without_a_held_out_split_it_is_refused() -> None:
    stage = LeakCheck()
    stage.begin()
    stage.clean("train", ("a",))
    with pytest.raises(ValueError, match="neither a val nor a test split"):
        stage.found()
