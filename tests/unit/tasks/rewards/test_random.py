"""reward=random."""

from __future__ import annotations

import pytest

from lightning_transformer.tasks.rewards.random import CoinFlip
from tests.unit.tasks.rewards.answers import rewards_of


def test_it_does_not_look_at_the_answer() -> None:
    texts = [f"text {i}" for i in range(4000)]
    found = rewards_of(CoinFlip(chance=0.3), texts)
    assert found == rewards_of(CoinFlip(chance=0.3), ["other"] * 4000)
    assert set(found) == {0.0, 1.0}
    assert sum(found) / 4000 == pytest.approx(0.3, abs=0.03)  # four standard deviations


def test_the_ends_of_the_range() -> None:
    assert rewards_of(CoinFlip(chance=0.0), ["a", "b"]) == [0.0, 0.0]
    assert rewards_of(CoinFlip(chance=1.0), ["a", "b"]) == [1.0, 1.0]
    with pytest.raises(ValueError, match=r"chance=1\.1 must be at least 0 and at most 1"):
        CoinFlip(chance=1.1)
