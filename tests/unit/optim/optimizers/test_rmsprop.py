"""optimizer=rmsprop: its formula in a float64 loop by hand."""

from __future__ import annotations

import math

import pytest

from lightning_transformer.optim.optimizers.rmsprop import rmsprop
from tests.unit.optim.optimizers.by_hand import by_hand, one_matrix, run


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_rmsprop_follows_the_formula(momentum):
    def update(w, g, t, state, lr, decay, beta2, eps):
        g += decay * w
        state["v"] = beta2 * state.get("v", 0.0) + (1 - beta2) * g * g
        step = g / (math.sqrt(state["v"]) + eps)
        state["b"] = momentum * state.get("b", 0.0) + step
        return w - lr * state["b"]

    layer = one_matrix()
    shared = {"lr": 0.1, "beta2": 0.9, "eps": 1e-3}
    got = run(rmsprop(layer, weight_decay=0.3, momentum=momentum, **shared), layer)
    assert got == by_hand(update, decay=0.3, **shared)
