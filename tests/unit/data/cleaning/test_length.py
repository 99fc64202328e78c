"""Bounds of length, inclusive."""

from __future__ import annotations

import pytest

from lightning_transformer.data.cleaning.base import Dropped
from lightning_transformer.data.cleaning.length import Length


def test_bounds_are_inclusive_and_count_characters() -> None:
    stage = Length(3, 5)
    for text in ("äöü", "abcde"):
        assert stage.clean("train", (text,)) == (text,)
    assert stage.clean("train", ("äö",)) == Dropped("fewer than 3 characters")
    assert stage.clean("train", ("abcdef",)) == Dropped("more than 5 characters")


def test_one_text_of_a_pair_is_enough() -> None:
    assert Length(3).clean("train", ("long enough", "no")) == Dropped("fewer than 3 characters")


def test_bounds_that_exclude_everything_are_refused() -> None:
    with pytest.raises(ValueError, match=r"max_chars=2 must be at least min_chars=3"):
        Length(3, 2)
    with pytest.raises(ValueError, match=r"min_chars=0 must be at least 1"):
        Length(0)
