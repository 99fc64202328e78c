"""preference=hinge, by hand."""

from __future__ import annotations

from lightning_transformer.nn.preference.hinge import PreferenceHinge
from tests.unit.nn.preference.formulas import pair, value


def test_by_hand() -> None:
    assert value(PreferenceHinge()) == 0.9


def test_a_margin_that_is_reached_has_no_loss() -> None:
    assert value(PreferenceHinge(), pair(2.5, -7.5)) == 0.0
