"""What a person sees of an evaluation while it goes on: a bar in a terminal, else a line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class EvaluationBar(L.Callback):
    """Moves a bar by one batch at a time; asks the device for nothing."""

    def __init__(self, bar: Progress, title: str) -> None:
        self.bar = bar
        self.task = bar.add_task(title, total=None)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        batches = trainer.num_test_batches
        self.bar.update(self.task, total=sum(batches) if isinstance(batches, list) else batches)

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self.bar.advance(self.task)


@contextmanager
def shown(console: Console, title: str) -> Iterator[list[L.Callback]]:
    """Callbacks that show the progress of one evaluation."""
    if not console.is_terminal:
        console.print(title, markup=False, soft_wrap=True)
        yield []
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        yield [EvaluationBar(bar, title)]
