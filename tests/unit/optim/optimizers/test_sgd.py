"""optimizer=sgd: its formula in a float64 loop by hand."""

from __future__ import annotations

import pytest

from lightning_transformer.optim.optimizers.sgd import sgd
from tests.unit.optim.optimizers.by_hand import GRADIENTS, START, one_matrix, run


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_sgd_follows_the_formula(momentum):
    layer = one_matrix()
    got = run(sgd(layer, lr=0.1, momentum=momentum, weight_decay=0.3), layer)
    for i, w in enumerate(START):
        b = None
        for gradient in GRADIENTS:
            g = gradient[i] + 0.3 * w
            b = g if b is None else momentum * b + g
            w -= 0.1 * (g + momentum * b)
        assert got[i] == pytest.approx(w, abs=1e-12)
