"""preference=orpo, by hand."""

from __future__ import annotations

from lightning_transformer.nn.preference.orpo import ORPO
from tests.unit.nn.preference.formulas import pair, value


def test_by_hand() -> None:
    assert value(ORPO()) == 0.545791


def test_an_answer_that_is_certain_has_a_finite_loss_and_gradient() -> None:
    pairs = pair(0.0, -3.0)
    chosen = pairs.chosen.requires_grad_()
    loss = ORPO()(pairs)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert chosen.grad is not None
    assert chosen.grad.isfinite().all()
