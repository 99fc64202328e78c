"""optimizer=lion: its formula in a float64 loop by hand."""

from __future__ import annotations

import math

import torch

from lightning_transformer.optim.optimizers.lion import lion
from tests.unit.optim.optimizers.by_hand import START, by_hand, one_matrix, run


def test_lion_follows_the_formula():
    def update(w, g, t, state, lr, decay, beta1, beta2):
        m = state.get("m", 0.0)
        state["m"] = beta2 * m + (1 - beta2) * g
        return w - lr * (math.copysign(1, beta1 * m + (1 - beta1) * g) + decay * w)

    layer = one_matrix()
    # With these the mean and the last gradient differ in sign, and the mean wins.
    got = run(lion(layer, lr=0.1, weight_decay=0.3, beta1=0.95, beta2=0.5), layer)
    assert got == by_hand(update, lr=0.1, decay=0.3, beta1=0.95, beta2=0.5)


def test_lion_does_not_move_without_a_gradient():
    layer = one_matrix()
    optimizer = lion(layer, lr=0.1, weight_decay=0.0)
    layer.weight.grad = torch.zeros_like(layer.weight)
    optimizer.step()
    assert layer.weight.flatten().tolist() == START  # sign(0) = 0
