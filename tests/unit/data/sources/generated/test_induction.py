"""Source induction: the answer follows from the question."""

from __future__ import annotations

import pytest

from lightning_transformer.data.sources.generated.induction import Induction
from tests.unit.data.sources.generated.made import drawn, made


def test_the_answer_is_the_right_one() -> None:
    for question, answer, _ in drawn(Induction):
        assert question.count(question[-1]) == 2
        assert len({*question}) == len(question) - 1
        assert answer == question[question.index(question[-1]) + 1]


def test_lengths_end_with_the_alphabet() -> None:
    with pytest.raises(ValueError, match=r"^data\.test_length or data\.max_length=27 must be "):
        made(Induction, test_length=27)
    with pytest.raises(ValueError, match=r"^data\.min_length=2 must be at least 3"):
        made(Induction, min_length=2)
