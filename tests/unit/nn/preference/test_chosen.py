"""preference=chosen, by hand."""

from __future__ import annotations

from lightning_transformer.nn.preference.chosen import ChosenNLL
from tests.unit.nn.preference.formulas import pair, value


def test_by_hand() -> None:
    assert value(ChosenNLL()) == 0.5


def test_the_rejected_answer_changes_nothing() -> None:
    assert value(ChosenNLL(), pair(rejected=-9.0)) == 0.5
