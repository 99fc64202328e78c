"""Gives callbacks their options of today in a resumed run."""

import inspect
from collections.abc import Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import EarlyStopping


class ResumeOptions(L.Callback):
    """Gives the callbacks of the configuration their options of today in a resumed run.

    Some of Lightning's write their options into checkpoints, such as EarlyStopping its patience,
    and would go on with those of then. Their counters and records are restored as they were.

    callbacks: those of the configuration.
    """

    def __init__(self, callbacks: Sequence[L.Callback]) -> None:
        self._callbacks = list(callbacks)
        self._options: list[tuple[L.Callback, dict[str, Any]]] = []

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # All of these hooks come before the first state is restored.
        self._options = [(callback, options_of(callback)) for callback in self._callbacks]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for callback, options in self._options:
            for name, value in options.items():
                setattr(callback, name, value)
            if isinstance(callback, EarlyStopping):
                callback.stopping_reason_message = None  # why it stopped then
        self._options = []


def options_of(callback: L.Callback) -> dict[str, Any]:
    """The attributes of a callback that have the names of its arguments."""
    names = inspect.signature(type(callback).__init__).parameters
    return {name: value for name, value in vars(callback).items() if name in names}
