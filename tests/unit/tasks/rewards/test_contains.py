"""reward=contains."""

from __future__ import annotations

from lightning_transformer.tasks.rewards.contains import ContainsAnswer
from tests.unit.tasks.rewards.answers import rewards_of


def test_the_answer_may_stand_anywhere() -> None:
    texts = ["it is 12.", "121", "1 2", ""]
    assert rewards_of(ContainsAnswer(), texts, " 12\n") == [1.0, 1.0, 0.0, 0.0]
    assert rewards_of(ContainsAnswer(), ["12 and"], "12", ended=False) == [1.0]
