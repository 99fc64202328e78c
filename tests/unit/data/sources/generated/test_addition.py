"""Source addition: the answer follows from the question."""

from __future__ import annotations

from lightning_transformer.data.sources.generated.addition import Addition
from tests.unit.data.sources.generated.made import drawn


def test_the_answer_is_the_right_one() -> None:
    for question, answer, _ in drawn(Addition):
        one, other = question.split("+")
        assert len(one) == len(other)
        assert int(answer[::-1]) == int(one) + int(other)
        assert len(answer) == len(one) + 1
