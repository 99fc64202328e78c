"""Applies new learning rates to a resumed run."""

import lightning as L
from torch.optim.lr_scheduler import LambdaLR


class ResumeLR(L.Callback):
    """Applies the configured learning rates and length of the schedule to a resumed run.

    Lightning restores optimizer and schedule as they were saved, and with them the old rates: a new
    `optimizer.lr` or `trainer.max_steps` would change nothing at all, or not before the next step.
    """

    def __init__(self) -> None:
        self._configured: list[list[float]] = []

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # The optimizers are new here; their states are restored after this.
        self._configured = [
            [group["initial_lr"] for group in optimizer.param_groups]
            for optimizer in trainer.optimizers
        ]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for config, rates in zip(trainer.lr_scheduler_configs, self._configured, strict=True):
            scheduler = config.scheduler
            assert isinstance(scheduler, LambdaLR)
            scheduler.base_lrs = list(rates)
            step = scheduler.last_epoch
            groups = scheduler.optimizer.param_groups
            for group, rate, factor in zip(groups, rates, scheduler.lr_lambdas, strict=True):
                group["initial_lr"], group["lr"] = rate, rate * factor(step)
