"""preference=dpo, by hand."""

from __future__ import annotations

import pytest

from lightning_transformer.nn.preference.dpo import DPO
from tests.unit.nn.preference.formulas import pair, value


def test_by_hand() -> None:
    assert value(DPO()) == 0.644397


def test_it_is_log_2_at_the_reference_and_refuses_beta_0() -> None:
    assert value(DPO(), pair(-2.5, -2.5)) == 0.693147
    with pytest.raises(ValueError, match=r"^beta=0 must be a positive number"):
        DPO(beta=0)
