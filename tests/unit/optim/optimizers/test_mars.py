"""optimizer=mars: its formula in a float64 loop by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_transformer.optim.optimizers.adamw import adamw
from lightning_transformer.optim.optimizers.mars import mars
from tests.unit.optim.optimizers.by_hand import START, one_matrix

OPTIONS = {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-3}
# Corrected, the first two and the last are longer than 1, and the third is not.
GRADIENTS = [[0.9, -1.0], [0.25, 2.0], [0.3, 0.1], [-1.5, 0.1]]


def test_mars_follows_the_formula() -> None:
    lr, beta1, beta2, eps, gamma, decay = *OPTIONS.values(), 0.05, 0.3
    layer = one_matrix()
    optimizer = mars(layer, weight_decay=decay, gamma=gamma, **OPTIONS)
    w, last, m, v = list(START), [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]
    clipped = []
    for t, g in enumerate(GRADIENTS, start=1):
        layer.weight.grad = torch.tensor([g], dtype=torch.float64)
        optimizer.step()
        c = [a + gamma * beta1 / (1 - beta1) * (a - b) for a, b in zip(g, last, strict=True)]
        norm = math.sqrt(c[0] ** 2 + c[1] ** 2)
        clipped.append(norm > 1)
        c = [x / max(1.0, norm) for x in c]
        for i, x in enumerate(c):
            m[i] = beta1 * m[i] + (1 - beta1) * x
            v[i] = beta2 * v[i] + (1 - beta2) * x * x
            step = m[i] / (1 - beta1**t) / (math.sqrt(v[i] / (1 - beta2**t)) + eps)
            w[i] -= lr * (step + decay * w[i])
        last = g
    assert clipped == [True, True, False, True]
    assert layer.weight.flatten().tolist() == pytest.approx(w, abs=1e-12)


def test_without_correction_it_is_adamw_on_short_gradients() -> None:
    one, other = one_matrix(), one_matrix()
    first = mars(one, gamma=0.0, weight_decay=0.3, **OPTIONS)
    second = adamw(other, weight_decay=0.3, **OPTIONS)
    for g in GRADIENTS:
        for layer, optimizer in ((one, first), (other, second)):
            layer.weight.grad = 0.1 * torch.tensor([g], dtype=torch.float64)
            optimizer.step()
    torch.testing.assert_close(one.weight, other.weight, rtol=0, atol=1e-12)
