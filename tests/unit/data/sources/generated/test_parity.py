"""Source parity: the answer follows from the question."""

from __future__ import annotations

from lightning_transformer.data.sources.generated.parity import Parity
from tests.unit.data.sources.generated.made import drawn


def test_the_answer_is_the_right_one() -> None:
    for question, answer, _ in drawn(Parity):
        for place, step in enumerate(answer):
            assert int(step) == question[: place + 1].count("1") % 2
