"""The averaged weights of optimizer=schedule_free, in the model except while it is trained."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import WeightAveraging

from lightning_transformer.errors import ConfigError
from lightning_transformer.optim.optimizers.schedule_free import ScheduleFreeAdamW


class AveragedWeights(L.Callback):
    """Puts the average of optimizer=schedule_free into the model, except while it is trained.

    Validation and everything after training see the average; checkpoints have it by `averaged`.
    With other optimizers this does nothing.

    Raises ConfigError where a callback averages the weights as well.
    """

    def __init__(self) -> None:
        self._optimizers: list[ScheduleFreeAdamW] = []

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        optimizers: list[Any] = trainer.optimizers
        self._optimizers = [o for o in optimizers if isinstance(o, ScheduleFreeAdamW)]
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
        if self._optimizers and any(isinstance(c, WeightAveraging) for c in callbacks):
            raise ConfigError(
                "callbacks=ema would average weights that optimizer=schedule_free averages "
                "already; use callbacks=default or another optimizer"
            )

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._train()  # a checkpoint has the average

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._eval()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit":
            self._train()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._eval()

    def _train(self) -> None:
        for optimizer in self._optimizers:
            optimizer.train()

    def _eval(self) -> None:
        for optimizer in self._optimizers:
            optimizer.eval()
