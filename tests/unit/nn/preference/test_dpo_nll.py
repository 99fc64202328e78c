"""preference=dpo_nll, by hand."""

from __future__ import annotations

from lightning_transformer.nn.preference.dpo_nll import DPOWithNLL
from tests.unit.nn.preference.formulas import value


def test_by_hand() -> None:
    assert value(DPOWithNLL()) == 1.144397


def test_the_likelihood_has_a_weight_of_its_own() -> None:
    assert value(DPOWithNLL(nll_weight=2.0)) == 1.644397
