"""Gradients in 16-mixed carry a scale; clipping, its log and the guard must see them without it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lightning_transformer.optim.optimizers.adamw import adamw
from tests.conftest import tiny
from tests.unit.tasks.drawn import drawn_batch


def updated(scale: float | None) -> tuple[float, list[torch.Tensor]]:
    """Norm and weights after a clipped step by a fused optimizer, with a scaler or without."""
    model: Any = tiny(dtype=torch.float32)
    scaler = None if scale is None else torch.amp.GradScaler("cpu", init_scale=scale)
    trainer = SimpleNamespace(precision_plugin=SimpleNamespace(scaler=scaler))
    model.__class__ = type("InTraining", (type(model),), {"trainer": trainer})
    optimizer = adamw(model, lr=0.01, eps=0.1)  # eps shows the size of the gradient
    batch = drawn_batch(model.task)
    loss = model.task(model.features(batch), batch).objective
    (loss if scaler is None else scaler.scale(loss)).backward()
    model.on_before_optimizer_step(optimizer)
    model.configure_gradient_clipping(optimizer, 0.5)
    optimizer.step() if scaler is None else scaler.step(optimizer)
    return float(model.grad_norm), [p.detach() for p in model.parameters()]


def test_the_scale_is_gone_before_the_clipping():
    norm, weights = updated(None)
    scaled_norm, scaled_weights = updated(1024.0)
    assert norm > 1.0  # so that the clipping binds
    assert scaled_norm == pytest.approx(norm, rel=1e-6)
    for one, other in zip(weights, scaled_weights, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)
