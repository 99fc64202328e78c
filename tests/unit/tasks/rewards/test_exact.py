"""reward=exact."""

from __future__ import annotations

from lightning_transformer.tasks.rewards.exact import ExactAnswer
from tests.unit.tasks.rewards.answers import rewards_of


def test_only_the_very_text_counts_and_only_where_it_ends() -> None:
    texts = ["12", " 12", "123", ""]
    assert rewards_of(ExactAnswer(), texts, "12") == [1.0, 0.0, 0.0, 0.0]
    assert rewards_of(ExactAnswer(), ["12"], "12", ended=False) == [0.0]
