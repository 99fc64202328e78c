"""preference=kto, by hand."""

from __future__ import annotations

from lightning_transformer.nn.preference.kto import KTO
from tests.unit.nn.preference.formulas import pair, value


def test_by_hand() -> None:
    assert value(KTO()) == 0.487503


def test_each_answer_is_judged_by_itself() -> None:
    """sigmoid(-0.1 * 0.5) of the chosen one alone, whatever the other is far below."""
    assert value(KTO(), pair(-2.0, -1e4)) == 0.243751
    assert value(KTO(z=0.5), pair(-2.0, -2.0)) == 0.5
