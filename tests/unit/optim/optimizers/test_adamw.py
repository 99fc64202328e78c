"""optimizer=adamw: its formula in a float64 loop by hand."""

from __future__ import annotations

import pytest
from torch import nn

from lightning_transformer.optim.optimizers.adamw import adamw
from tests.unit.optim.optimizers.by_hand import (
    GRADIENTS,
    START,
    adam_by_hand,
    one_matrix,
    run,
)


def test_adamw_follows_the_formula():
    layer = one_matrix()
    options = {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-3}
    got = run(adamw(layer, weight_decay=0.3, **options), layer)
    for i, start in enumerate(START):
        gradients = [gradient[i] for gradient in GRADIENTS]
        decay = {"l2": 0.0, "decoupled": 0.3}
        expected = adam_by_hand(start, gradients, **options, **decay)
        assert got[i] == pytest.approx(expected, abs=1e-12)


def test_options_reach_torch_and_biases_are_not_decayed():
    layer = nn.Linear(3, 2)
    decay, no_decay = adamw(layer, lr=0.5, weight_decay=0.2, beta1=0, beta2=0.9).param_groups
    assert decay["weight_decay"] == 0.2
    assert no_decay["weight_decay"] == 0.0
    assert decay["betas"] == (0.0, 0.9)  # a whole number is taken too
    assert decay["lr"] == no_decay["lr"] == 0.5
    assert decay["fused"] is True


def test_fused_is_left_to_torch_where_it_does_not_apply():
    (group,) = adamw(nn.Linear(2, 2, bias=False, device="meta")).param_groups
    assert group["fused"] is None
