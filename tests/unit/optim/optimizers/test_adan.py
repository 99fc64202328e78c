"""optimizer=adan: its formula in a float64 loop by hand."""

from __future__ import annotations

import math

import pytest

from lightning_transformer.optim.optimizers.adan import adan
from tests.unit.optim.optimizers.by_hand import by_hand, one_matrix, run


@pytest.mark.parametrize("beta1", [0.9, 0.0])
def test_adan_follows_the_formula(beta1):
    def update(w, g, t, state, lr, decay, beta1, beta2, beta3, eps):
        d = g - state.get("g", g)
        state["g"] = g
        state["m"] = beta1 * state.get("m", 0.0) + (1 - beta1) * g
        state["v"] = beta2 * state.get("v", 0.0) + (1 - beta2) * d
        state["n"] = beta3 * state.get("n", 0.0) + (1 - beta3) * (g + beta2 * d) ** 2
        m, v = state["m"] / (1 - beta1**t), state["v"] / (1 - beta2**t)
        root = math.sqrt(state["n"] / (1 - beta3**t)) + eps
        return (w - lr * (m + beta2 * v) / root) / (1 + lr * decay)

    layer = one_matrix()
    options = {"lr": 0.1, "beta1": beta1, "beta2": 0.7, "beta3": 0.8, "eps": 1e-3}
    got = run(adan(layer, weight_decay=0.3, **options), layer)
    assert got == by_hand(update, decay=0.3, **options)


def test_a_constant_gradient_moves_every_weight_by_the_rate() -> None:
    """As in Adam: there is no change to add, whatever the size of the gradient."""
    layer = one_matrix()
    before = layer.weight.detach().clone()
    optimizer = adan(layer, lr=0.25, weight_decay=0.0)
    for _ in range(4):
        layer.weight.grad = before.new_tensor([[1e-3, -50.0]])
        optimizer.step()
    moved = (layer.weight.detach() - before).flatten().tolist()
    assert moved == pytest.approx([-1.0, 1.0], rel=1e-4)
