"""optimizer=radam: its formula in a float64 loop by hand."""

from __future__ import annotations

import math

import pytest

from lightning_transformer.optim.optimizers.radam import radam
from tests.unit.optim.optimizers.by_hand import GRADIENTS, START, moments, one_matrix, run


@pytest.mark.parametrize("beta2", [0.3, 0.9])
def test_radam_follows_the_formula(beta2):
    rectified = []

    def update(w, g, t, state, lr, decay, beta1, beta2, eps):
        m, _ = moments(g, t, state, beta1, beta2)
        m_hat = m / (1 - beta1**t)
        rho = 2 / (1 - beta2) - 1
        now = rho - 2 * t * beta2**t / (1 - beta2**t)
        rectified.append(now > 5)
        step = m_hat
        if now > 5:
            r = (now - 4) * (now - 2) * rho / ((rho - 4) * (rho - 2) * now)
            size = (math.sqrt(state["v"]) + eps) / math.sqrt(1 - beta2**t)
            step = math.sqrt(r) * m_hat / size
        return w - lr * decay * w - lr * step

    layer = one_matrix()
    shared = {"lr": 0.1, "beta1": 0.8, "beta2": beta2, "eps": 1e-3}
    optimizer = radam(layer, weight_decay=0.3, **shared)
    got = [run(optimizer, layer) for _ in range(3)][-1]
    found = []
    for i, w in enumerate(START):
        state = {}
        for t in range(1, 10):
            w = update(w, GRADIENTS[(t - 1) % 3][i], t, state, decay=0.3, **shared)
        found.append(w)
    assert got == pytest.approx(found, abs=1e-12)
    assert any(rectified) == (beta2 == 0.9)
    assert not all(rectified)
