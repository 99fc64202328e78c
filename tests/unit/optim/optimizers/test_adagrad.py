"""optimizer=adagrad: its formula in a float64 loop by hand."""

from __future__ import annotations

import math

from lightning_transformer.optim.optimizers.adagrad import adagrad
from tests.unit.optim.optimizers.by_hand import by_hand, one_matrix, run


def test_adagrad_follows_the_formula():
    def update(w, g, t, state, lr, decay, eps):
        g += decay * w
        state["s"] = state.get("s", 0.0) + g * g
        return w - lr * g / (math.sqrt(state["s"]) + eps)

    layer = one_matrix()
    got = run(adagrad(layer, lr=0.1, weight_decay=0.3, eps=1e-3), layer)
    assert got == by_hand(update, lr=0.1, decay=0.3, eps=1e-3)
