"""preference=simpo, by hand."""

from __future__ import annotations

import pytest

from lightning_transformer.nn.preference.simpo import SimPO
from tests.unit.nn.preference.formulas import value


def test_by_hand() -> None:
    assert value(SimPO()) == 0.693147


def test_its_margin_is_per_token_and_beside_beta() -> None:
    assert value(SimPO(beta=2.0, gamma=0.0)) == 0.474077  # -log sigmoid(2 * 0.25)
    with pytest.raises(ValueError, match=r"^gamma=-1 must be a number of at least 0"):
        SimPO(gamma=-1)
