"""reward=length."""

from __future__ import annotations

import pytest

from lightning_transformer.tasks.rewards.length import TargetLength
from tests.unit.tasks.rewards.answers import rewards_of


def test_it_falls_to_both_sides_and_never_below_zero() -> None:
    texts = ["abcd", "abc", "abcdef", "a" * 8, "a" * 20, ""]
    assert rewards_of(TargetLength(target=4), texts) == [1.0, 0.75, 0.5, 0.0, 0.0, 0.0]


def test_a_target_is_one_character_at_least() -> None:
    with pytest.raises(ValueError, match="target=0 must be at least 1, for example 20"):
        TargetLength(target=0)
