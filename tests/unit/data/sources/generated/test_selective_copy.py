"""Source selective_copy: the answer follows from the question."""

from __future__ import annotations

import pytest

from lightning_transformer.data.sources.generated.selective_copy import SelectiveCopy
from tests.unit.data.sources.generated.made import drawn, made


def test_the_answer_is_the_right_one() -> None:
    for question, answer, _ in drawn(SelectiveCopy):
        assert question.count(".") == 16
        assert answer == question.replace(".", "")


def test_there_is_a_blank() -> None:
    with pytest.raises(ValueError, match=r"^data\.n_blanks=0 must be at least 1"):
        made(SelectiveCopy, n_blanks=0)
