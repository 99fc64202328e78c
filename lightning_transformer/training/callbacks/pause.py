"""Interrupt a run at a step and resume it later: the schedule is that of the full run."""

import signal
from typing import Any

import lightning as L

from lightning_transformer.errors import Stopped
from lightning_transformer.nn import checks


class Pause(L.Callback):
    """Ends the run before the step after `step`, as SIGTERM would, when that step was validated.

    For a step that is validated (a multiple of trainer.val_every): its checkpoint is what the run
    goes on from. At the last step of a run it does nothing.
    """

    def __init__(self, *, step: int) -> None:
        checks.at_least("step", step, 1)
        self.step = step

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step >= self.step:
            raise Stopped(signal.SIGTERM)
