"""optimizer=adamax: its formula in a float64 loop by hand."""

from __future__ import annotations

from lightning_transformer.optim.optimizers.adamax import adamax
from tests.unit.optim.optimizers.by_hand import by_hand, one_matrix, run


def test_adamax_follows_the_formula():
    def update(w, g, t, state, lr, decay, beta1, beta2, eps):
        g += decay * w
        state["m"] = beta1 * state.get("m", 0.0) + (1 - beta1) * g
        state["u"] = max(beta2 * state.get("u", 0.0), abs(g) + eps)
        return w - lr * state["m"] / (1 - beta1**t) / state["u"]

    layer = one_matrix()
    options = {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-3}
    got = run(adamax(layer, weight_decay=0.3, **options), layer)
    assert got == by_hand(update, decay=0.3, **options)
