"""policy=reinforce."""

from __future__ import annotations

import pytest

from lightning_transformer.tasks.policies.reinforce import Reinforce
from tests.unit.tasks.policies.test_base import GAIN, NOW, REWARDS, SCORED, THEN


def test_each_answer_counts_by_its_own_reward() -> None:
    assert Reinforce().advantages(REWARDS).tolist() == REWARDS.tolist()
    assert Reinforce(baseline=0.25).advantages(REWARDS)[0].tolist() == [0.75, -0.25, -0.25, 0.75]
    losses = Reinforce().losses(NOW, THEN, GAIN, SCORED)
    assert losses.tolist() == pytest.approx([6.0, -0.5])
    assert not Reinforce().compares


def test_a_baseline_is_a_number() -> None:
    with pytest.raises(ValueError, match="baseline=nan must be"):
        Reinforce(baseline=float("nan"))
