"""Equal documents, across splits."""

from __future__ import annotations

from lightning_transformer.data.cleaning.base import Dropped
from lightning_transformer.data.cleaning.exact_duplicates import ExactDuplicates

GONE = Dropped("equal to an earlier one")


def test_the_first_stays() -> None:
    stage = ExactDuplicates()
    stage.begin()
    given = [("test", "a"), ("test", "b"), ("test", "a"), ("train", "b"), ("train", "c")]
    found = [stage.clean(split, (text,)) for split, text in given]
    assert found == [("a",), ("b",), GONE, GONE, ("c",)]


def test_all_texts_of_a_pair_count_and_where_one_ends() -> None:
    stage = ExactDuplicates()
    stage.begin()
    pairs = [("ab", "c"), ("a", "bc"), ("ab", "d"), ("ab", "c"), ("abc",), ("\ud800", "")]
    assert [stage.clean("train", pair) for pair in pairs] == [*pairs[:3], GONE, *pairs[4:]]


def test_it_forgets_at_the_beginning() -> None:
    stage = ExactDuplicates()
    for _ in range(2):
        stage.begin()
        assert stage.clean("train", ("a",)) == ("a",)
