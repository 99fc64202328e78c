"""optimizer=adam: its formula in a float64 loop by hand."""

from __future__ import annotations

import pytest

from lightning_transformer.optim.optimizers.adam import adam
from tests.unit.optim.optimizers.by_hand import (
    GRADIENTS,
    START,
    adam_by_hand,
    one_matrix,
    run,
)


def test_adam_follows_the_formula():
    layer = one_matrix()
    options = {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-3}
    got = run(adam(layer, weight_decay=0.3, **options), layer)
    for i, start in enumerate(START):
        gradients = [gradient[i] for gradient in GRADIENTS]
        decay = {"l2": 0.3, "decoupled": 0.0}
        expected = adam_by_hand(start, gradients, **options, **decay)
        assert got[i] == pytest.approx(expected, abs=1e-12)
