"""Overfit a single batch: a sound model reaches a loss of zero."""

from typing import Any

import lightning as L

from lightning_transformer.nn import checks


class FirstExamples:
    """The first n examples of a split, the same in every epoch."""

    def __init__(self, split: Any, n: int) -> None:
        self.split, self.n = split, min(n, len(split))
        self.lengths = None if split.lengths is None else split.lengths[: self.n]
        self.n_tokens = split.n_tokens * self.n // len(split)

    def __len__(self) -> int:
        return self.n

    def get(self, index: int, epoch: int) -> Any:
        return self.split.get(index, 0)


class Overfit(L.Callback):
    """Trains on the data of the first n_steps steps only: a sound model's loss goes to zero."""

    def __init__(self, *, n_steps: int = 1) -> None:
        checks.at_least("n_steps", n_steps, 1)
        self.n_steps = n_steps

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if stage == "fit":
            head = FirstExamples(data.splits["train"], self.n_steps * data.batch_size)
            data.splits = {**data.splits, "train": head, "val": head}
