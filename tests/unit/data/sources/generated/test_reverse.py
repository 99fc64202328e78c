"""Source reverse: the answer follows from the question."""

from __future__ import annotations

from lightning_transformer.data.sources.generated.reverse import Reverse
from tests.unit.data.sources.generated.made import drawn


def test_the_answer_is_the_right_one() -> None:
    for question, answer, _ in drawn(Reverse):
        assert answer == "".join(reversed(question))
