"""optimizer=adafactor: its formula in a float64 loop by hand."""

from __future__ import annotations

import torch
from torch import nn

from lightning_transformer.optim.optimizers.adafactor import adafactor

NEEDS_FULL_TENSORS = True  # for tests/helpers/variants.py


def test_adafactor_follows_the_formula():
    """Rows and columns of a matrix, and every weight of a bias, in float64."""
    torch.manual_seed(0)
    layer = nn.Linear(3, 4, dtype=torch.float64)
    w, b = layer.weight.detach().clone(), layer.bias.detach().clone() * 1e-4
    with torch.no_grad():
        layer.bias.copy_(b)  # smaller than min_rms
    lr, decay, power, least, clip = 0.7, 0.3, -0.8, 1e-3, 1.0
    options = {"beta2_decay": power, "min_rms": least, "clip_rms": clip}
    optimizer = adafactor(layer, lr=lr, weight_decay=decay, **options)
    rows, columns, squares = torch.zeros(4).double(), torch.zeros(3).double(), torch.zeros_like(b)

    clipped = []

    def rms(x):
        return x.square().mean().sqrt()

    for t in range(1, 5):
        g, h = torch.randn(4, 3).double(), torch.randn(4).double()
        layer.weight.grad, layer.bias.grad = g.clone(), h.clone()
        optimizer.step()
        new = t**power
        rows += new * (g.square().mean(1) - rows)
        columns += new * (g.square().mean(0) - columns)
        squares += new * (h.square() - squares)
        for value, u, own in (
            (w, g / (rows[:, None] * columns / rows.mean()).sqrt(), decay),
            (b, h / squares.sqrt(), 0.0),
        ):
            clipped.append(float(rms(u)) > clip)
            rate = max(least, float(rms(value))) * min(lr, t**-0.5)
            value.mul_(1 - lr * own).sub_(rate * u / max(1.0, float(rms(u)) / clip))
    assert any(clipped)
    assert not all(clipped)
    torch.testing.assert_close(layer.weight.detach(), w, rtol=0, atol=1e-12)
    torch.testing.assert_close(layer.bias.detach(), b, rtol=0, atol=1e-12)
