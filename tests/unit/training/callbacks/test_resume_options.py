"""Options of callbacks in a resumed run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import EarlyStopping

from lightning_transformer.training.callbacks.resume_options import ResumeOptions


class Counts(L.Callback):
    """One that restores an option and a count."""

    def __init__(self, *, every: int, note: str = "") -> None:
        self.every, self.note = every, note
        self.seen = 0

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.every, self.seen = state_dict["every"], state_dict["seen"]


def restored(callback: L.Callback, state: dict[str, Any]) -> None:
    """What Lightning does, in its order, where a run is resumed."""
    options, trainer, model = ResumeOptions([callback]), SimpleNamespace(), L.LightningModule()
    options.on_load_checkpoint(trainer, model, {})  # type: ignore[arg-type]
    callback.load_state_dict(state)
    options.on_train_start(trainer, model)  # type: ignore[arg-type]


def test_options_are_those_of_today_and_counts_those_of_then() -> None:
    callback = Counts(every=5, note="today")
    restored(callback, {"every": 3, "seen": 7})
    assert (callback.every, callback.note, callback.seen) == (5, "today", 7)


def test_the_sign_that_early_stopping_gives_to_min_delta_stays() -> None:
    then = EarlyStopping("val/loss", min_delta=0.5, patience=3)
    then.wait_count, then.stopping_reason_message = 2, "then"
    today = EarlyStopping("val/loss", min_delta=0.25, patience=5)
    restored(today, then.state_dict())
    assert (today.patience, today.min_delta, today.wait_count) == (5, -0.25, 2)
    assert today.stopping_reason_message is None


def test_a_run_that_is_not_resumed_is_left_alone() -> None:
    callback = Counts(every=5)
    options = ResumeOptions([callback])
    callback.every = 9  # by itself, in its set-up
    options.on_train_start(SimpleNamespace(), L.LightningModule())  # type: ignore[arg-type]
    assert callback.every == 9
