"""Assignment to splits by hash."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from lightning_transformer.data.holdout import (
    assign,
    by_first_text,
    fractions_to_cut,
    position,
    split_names,
)
from lightning_transformer.data.split import Record


def test_position_is_the_leading_part_of_sha256():
    expected = int(hashlib.sha256(b"name").hexdigest()[:12], 16) / 16**12
    assert position("name") == expected


def test_assignment_follows_the_fractions():
    counts = Counter(assign(f"file {i}", 0.1, 0.2) for i in range(5000))
    # four standard errors
    assert abs(counts["val"] - 500) < 4 * (5000 * 0.1 * 0.9) ** 0.5
    assert abs(counts["test"] - 1000) < 4 * (5000 * 0.2 * 0.8) ** 0.5


def test_a_larger_validation_split_leaves_the_test_split_alone():
    names = [str(i) for i in range(500)]
    small = {n for n in names if assign(n, 0.1, 0.1) == "test"}
    assert small == {n for n in names if assign(n, 0.4, 0.1) == "test"}


def test_a_fraction_of_zero_means_no_such_split():
    assert split_names(0.1, 0.0) == ["train", "val"]
    assert split_names(0.0, 0.0) == ["train"]
    assert {assign(str(i), 0.0, 0.0) for i in range(100)} == {"train"}


def test_equal_first_texts_stay_together_in_order():
    records = [Record((str(i % 50), str(i))) for i in range(500)]
    found = by_first_text(records, 0.3, 0.3)
    firsts = [{r.texts[0] for r in part} for part in found.values()]
    assert sum(map(len, firsts)) == 50
    assert sorted((r for part in found.values() for r in part), key=lambda r: int(r.texts[1])) == (
        records
    )
    for part in found.values():
        assert part == sorted(part, key=lambda r: int(r.texts[1]))


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((-0.1, 0.1), r"val_fraction=-0.1 must be at least 0 and below 1"),
        ((0.1, 1.0), r"test_fraction=1.0 must be at least 0 and below 1"),
        ((0.5, 0.5), "must be below 1"),
    ],
)
def test_impossible_fractions_are_refused(fractions, message):
    with pytest.raises(ValueError, match=message):
        fractions_to_cut(*fractions, None, None)
