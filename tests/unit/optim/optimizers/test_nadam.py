"""optimizer=nadam: its formula in a float64 loop by hand."""

from __future__ import annotations

import math

import pytest

from lightning_transformer.optim.optimizers.nadam import nadam
from tests.unit.optim.optimizers.by_hand import by_hand, moments, one_matrix, run


def test_nadam_follows_the_formula():
    def update(w, g, t, state, lr, decay, beta1, beta2, eps, momentum_decay):
        m, v_hat = moments(g, t, state, beta1, beta2)
        mu, after = (beta1 * (1 - 0.5 * 0.96 ** (k * momentum_decay)) for k in (t, t + 1))
        product = state["product"] = state.get("product", 1.0) * mu
        m_bar = (1 - mu) * g / (1 - product) + after * m / (1 - product * after)
        return w - lr * (decay * w) - lr * m_bar / (math.sqrt(v_hat) + eps)

    layer = one_matrix()
    shared = {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-3, "momentum_decay": 0.5}
    got = run(nadam(layer, weight_decay=0.3, **shared), layer)
    # torch keeps the product of all mu in float32
    assert got == pytest.approx(by_hand(update, decay=0.3, **shared).expected, abs=1e-7)
