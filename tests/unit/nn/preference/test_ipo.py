"""preference=ipo, by hand."""

from __future__ import annotations

from lightning_transformer.nn.preference.ipo import IPO
from tests.unit.nn.preference.formulas import pair, value


def test_by_hand() -> None:
    assert value(IPO()) == 22.5625


def test_the_target_is_half_of_one_over_beta_per_token() -> None:
    assert value(IPO(beta=2.0)) == 0.0  # a margin of 1 / 4
    assert value(IPO(beta=2.0), pair(n=8)) == round((1 / 8 - 1 / 4) ** 2, 6)
