"""Source copy: the answer follows from the question."""

from __future__ import annotations

from lightning_transformer.data.sources.generated.copy import Copy
from tests.unit.data.sources.generated.made import drawn


def test_the_answer_is_the_right_one() -> None:
    for question, answer, _ in drawn(Copy):
        assert answer == question
