"""Shared by the tests of schedules."""

from __future__ import annotations

import torch
from torch.optim.lr_scheduler import LambdaLR

from lightning_transformer.optim.schedule.base import Schedule


def factors(schedule: Schedule, total_steps: int) -> list[float]:
    """Of all steps of a run."""
    return [schedule(step, total_steps) for step in range(total_steps)]


def optimizer() -> torch.optim.Optimizer:
    """One to build a schedule of transformers with."""
    return torch.optim.SGD([torch.zeros(1)], lr=1.0)


def theirs(scheduler: LambdaLR, warmup: int, total_steps: int) -> list[float]:
    """The factors of a schedule of transformers, which counts the steps of its warm-up from 0.

    Ours counts them from 1, so that the first step trains; what comes after is the same.
    """
    factor = scheduler.lr_lambdas[0]
    return [factor(step + 1 if step < warmup else step) for step in range(total_steps)]
