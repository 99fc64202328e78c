"""preference=cpo, by hand."""

from __future__ import annotations

from lightning_transformer.nn.preference.cpo import CPO
from tests.unit.nn.preference.formulas import value


def test_by_hand() -> None:
    assert value(CPO()) == 1.144397


def test_the_likelihood_has_a_weight_of_its_own() -> None:
    assert value(CPO(nll_weight=2.0)) == 1.644397
