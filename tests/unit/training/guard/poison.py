"""Runs that are disturbed at chosen micro-batches, and what is left of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.checkpoint.run_files import RunFiles
from lightning_transformer.models.base import Transformer

Disturb = Callable[[Transformer, Tensor], Tensor]


class Poison:
    """Disturbs the loss of the given micro-batches (from 1), in the order of training."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, at: Collection[int], disturb: Disturb
    ) -> None:
        step = Transformer.training_step
        self.count = 0
        self.model: Any = None
        self.optimizer: Any = None

        def training_step(model: Transformer, batch: Any, batch_idx: int) -> Tensor:
            self.count += 1
            self.model, self.optimizer = model, model.trainer.optimizers[0]
            loss = step(model, batch, batch_idx)
            return disturb(model, loss) if self.count in at else loss

        monkeypatch.setattr(Transformer, "training_step", training_step)


def nan_loss(model: Transformer, loss: Tensor) -> Tensor:
    model.step_loss = torch.full_like(loss.detach(), float("nan"))
    return loss * float("nan")


def nan_gradient(model: Transformer, loss: Tensor) -> Tensor:
    """The loss is what it was; one weight's gradient is not finite."""
    parameter = dict(model.named_parameters())[BAD]

    def spoil(gradient: Tensor) -> Tensor:
        handle.remove()
        return gradient.index_fill(0, torch.tensor([1]), float("inf"))

    handle = parameter.register_hook(spoil)
    return loss


BAD = "decoder.blocks.0.ffn.down.weight"


def spike(model: Transformer, loss: Tensor) -> Tensor:
    return loss * 1000.0


def saved(folder: Path, name: str = "last") -> dict[str, Any]:
    return RunFiles(folder).load_checkpoint(name)


def equal(one: Any, other: Any) -> bool:
    """Bit for bit, through dicts and lists."""
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)
