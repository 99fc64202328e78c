"""Clipping by the global norm, which is kept for the log and the guard, or by value."""

from typing import Any

import lightning as L
from torch import Tensor, nn

from lightning_transformer.distributed.grad_norm import (
    add_up_parts,
    clip_values,
    clip_with_norm,
    global_norm,
)
from lightning_transformer.optim.trained_set import trained_parameters


class GradientClipping:
    """The norm of a model's whole gradient, over all ranks, and clipping.

    By hand, because Lightning refuses to clip for a fused optimizer in mixed precision.
    """

    def __init__(self) -> None:
        self._parameters: list[nn.Parameter] = []

    def norm(self, model: L.LightningModule) -> Tensor:
        """0-d norm of the gradient as the backward pass left it."""
        if not self._parameters:  # walking through all modules takes as long as the clipping
            self._parameters = trained_parameters(model)
        if model.device_mesh is not None:
            add_up_parts(self._parameters)
        return global_norm(self._parameters)

    def clip(self, limit: float, norm: Tensor) -> None:
        """Scale the gradient whose norm this is so that it has at most the norm `limit`."""
        clip_with_norm(self._parameters, limit, norm)

    def clip_values(self, limit: float) -> None:
        """Bring each number of the gradient into [-limit, limit]."""
        clip_values(self._parameters, limit)


def unscale(scaler: Any, optimizer: Any) -> None:
    """Undo 16-mixed's scale before clipping, which Lightning leaves to fused optimizers."""
    if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
        scaler.unscale_(optimizer)
