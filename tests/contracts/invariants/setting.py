"""Shared by the tests of invariants: models within a pretended training, and their batches."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.base import Batch, Task
from tests.conftest import options
from tests.helpers.variants import model_of
from tests.unit.tasks.drawn import examples

EXACT = 1e-10  # between two orders of the same float64 arithmetic

TASKS = {task: model_of(task) for task in options("task")}


def ragged(task: Task, n: int, *, seed: int = 0) -> Batch:
    """A batch of n rows of unequal length, as if it were a whole step."""
    rows = examples(task.example, n, seed=seed)
    batch = task.collator("train")(rows, list(range(n)))
    return batch._replace(step_targets=batch.n_targets)


def mean_loss(model: Transformer, batch: Batch) -> Tensor:
    """Nats per target of one batch."""
    return model.task(model.features(batch), batch).objective / batch.n_targets


def gradients(model: Any) -> list[Tensor]:
    """Of every parameter; a copy."""
    return [parameter.grad.clone() for parameter in model.parameters()]


def largest_difference(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Over all tensors."""
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


def on_rank(model: Any, *, accumulate: int = 1, world_size: int = 1, step_targets: int = 0) -> Any:
    """The model within a training on one of several ranks, which have step_targets together."""

    def reduce(value: Tensor, reduce_op: str) -> Tensor:
        assert reduce_op == "sum"
        return torch.full_like(value, step_targets)

    trainer = SimpleNamespace(
        accumulate_grad_batches=accumulate,
        world_size=world_size,
        global_rank=0,
        strategy=SimpleNamespace(reduce=reduce),
    )
    model.__class__ = type("OnRank", (type(model),), {"trainer": trainer})
    return model
