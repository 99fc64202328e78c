"""Shared by the tests of formulas: one matrix, its gradients, and loops by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

GRADIENTS = [[0.5, -1.0], [0.25, 2.0], [-1.5, 0.1]]
START = [1.0, -2.0]


def one_matrix() -> nn.Linear:
    layer = nn.Linear(2, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([START]))
    return layer


def run(optimizer: torch.optim.Optimizer, layer: nn.Linear) -> list[float]:
    for gradient in GRADIENTS:
        layer.weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
    return layer.weight.flatten().tolist()


def by_hand(update, **options):
    """The two weights after all gradients, each by itself: w, state = update(w, g, t, state)."""
    found = []
    for i, w in enumerate(START):
        state = {}
        for t, gradient in enumerate(GRADIENTS, start=1):
            w = update(w, gradient[i], t, state, **options)
        found.append(w)
    return pytest.approx(found, abs=1e-12)


def moments(g, t, state, beta1, beta2):
    """The running means and the bias-corrected second one."""
    state["m"] = beta1 * state.get("m", 0.0) + (1 - beta1) * g
    state["v"] = beta2 * state.get("v", 0.0) + (1 - beta2) * g * g
    return state["m"], state["v"] / (1 - beta2**t)


def adam_by_hand(w, gradients, lr, beta1, beta2, eps, l2, decoupled):
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        w -= lr * decoupled * w
        g += l2 * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        w -= lr * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + eps)
    return w
