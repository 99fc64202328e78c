"""Source modular_addition: the answer follows from the question."""

from __future__ import annotations

import pytest

from lightning_transformer.data.sources.generated.modular_addition import ModularAddition
from tests.unit.data.sources.generated.made import drawn, made


def test_the_answer_is_the_right_one() -> None:
    for question, answer, _ in drawn(ModularAddition):
        assert int(answer, 36) == sum(int(mark, 36) for mark in question) % 31


@pytest.mark.parametrize("modulus", [1, 37])
def test_a_modulus_has_a_mark_for_each_number(modulus: int) -> None:
    with pytest.raises(ValueError, match=rf"^data\.modulus={modulus} must be "):
        made(ModularAddition, modulus=modulus)
