"""What the same guess for every target reaches, measured beside the model."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lightning_transformer.tasks.base import IGNORE, Batch, Task

AT_ONCE = 64  # training examples that become a batch


class Baseline:
    """The metrics of one guess for all: the unigram or the majority of the training data.

    It sees the same batches as the model, so that its numbers are of the same targets over all
    ranks; as they never change, each split is measured once. `values`: split to metrics.
    """

    def __init__(self) -> None:
        self.row: Tensor | None = None  # scores of the guess; None = nothing is measured
        self.values: dict[str, dict[str, float]] = {}
        self._metrics: nn.ModuleDict | None = None

    def learn(self, task: Task, examples: Sequence[Any]) -> None:
        """Take the guess from the targets of training examples."""
        collate, found = task.collator("train"), []
        for start in range(0, len(examples), AT_ONCE):
            part = examples[start : start + AT_ONCE]
            labels = collate(part, [*range(start, start + len(part))]).labels.flatten()
            found.append(labels[labels != IGNORE])
        labels = torch.cat(found)
        self.row = task.same_guess(labels) if len(labels) else None

    def begin(self, split: str, task: Task, device: torch.device) -> None:
        """Start to measure a split, unless that was done or there is no guess."""
        self._metrics = None
        if self.row is not None and split not in self.values:
            self.row = self.row.to(device)
            self._metrics = nn.ModuleDict(task.metrics()).to(device)

    def add(self, split: str, model: Any, batch: Batch) -> None:
        """Add a batch that counts; model has a task, and data_ranks as `generate_metrics` needs."""
        if self._metrics is not None:
            assert self.row is not None
            task: Task = model.task
            task.update_baseline(self._metrics, self.row, batch, split, model.data_ranks)

    def end(self, split: str, task: Task) -> None:
        """Keep what was measured, as far as it is finite."""
        if self._metrics is not None:
            found = {name: float(v) for name, v in task.compute(self._metrics).items()}
            self.values[split] = {name: v for name, v in found.items() if math.isfinite(v)}
            self._metrics = None
