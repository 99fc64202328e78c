"""Source dyck: the answer follows from the question."""

from __future__ import annotations

import pytest

from lightning_transformer.data.sources.generated.dyck import Dyck
from tests.unit.data.sources.generated.made import drawn, made


def test_the_answer_is_the_right_one() -> None:
    for question, answer, _ in drawn(Dyck):
        assert answer
        left = question + answer
        while left:
            shorter = left.replace("()", "").replace("[]", "")
            assert len(shorter) < len(left), "brackets do not match"
            left = shorter
        assert not {*answer} & {*"(["}


def test_kinds_are_those_that_there_are_brackets_for() -> None:
    with pytest.raises(ValueError, match=r"^data\.kinds=5 must be "):
        made(Dyck, kinds=5)
    assert {m for d in drawn(Dyck, kinds=1, max_length=24) for m in d.question} == {"(", ")"}
