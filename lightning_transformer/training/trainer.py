"""The trainer options that this project names, and how they become a Lightning Trainer."""

from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.precision import DoublePrecision
from lightning.pytorch.profilers import PassThroughProfiler

from lightning_transformer.checkpoint.io import SafeCheckpointIO
from lightning_transformer.nn import checks
from lightning_transformer.training.callbacks.compile_blocks import CompileBlocks
from lightning_transformer.training.preflight.precision import device_kind, has_bf16
from lightning_transformer.training.strategy import ModelParallel


def trainer(
    *,
    folder: Path,
    logger: list[Logger],
    callbacks: list[L.Callback],
    max_steps: int = 800,
    val_every: int = 200,
    save_every: int | None = None,
    log_every: int = 20,
    accumulate: int = 1,
    clip: float | None = 1.0,
    precision: str = "auto",
    accelerator: str = "auto",
    devices: int | str = 1,
    num_nodes: int = 1,
    strategy: Any = "auto",
    max_minutes: float | None = None,
    limit_val_batches: int | None = None,
    limit_test_batches: int | None = None,
    deterministic: bool = False,
    benchmark: bool = False,
    detect_anomaly: bool = False,
    activation_checkpointing: bool = False,
    compile: bool = False,
    profiler: str | None = None,
    plugins: Any = None,
) -> L.Trainer:
    """A Lightning Trainer that counts optimizer steps and writes into one run folder.

    Raises ValueError for values out of range or a device that is not there.
    """
    for key, value in (("max_steps", max_steps), ("val_every", val_every)):
        checks.at_least(f"trainer.{key}", value, 1)
    checks.at_least("trainer.log_every", log_every, 1)
    if save_every is not None:
        checks.at_least("trainer.save_every", save_every, 1)
    checks.at_least("trainer.accumulate", accumulate, 1)
    for key, limit in (("val", limit_val_batches), ("test", limit_test_batches)):
        if limit is not None:
            checks.at_least(f"trainer.limit_{key}_batches", limit, 1)
    if isinstance(devices, int):
        checks.at_least("trainer.devices", devices, 1)
    if clip is not None:
        checks.positive("trainer.clip", clip, 1.0)
    if max_minutes is not None:
        checks.positive("trainer.max_minutes", max_minutes, 60.0)
    if accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise ValueError(f"trainer.accelerator={accelerator} but torch sees no GPU; use cpu")
    if accelerator == "mps" and not torch.mps.is_available():
        raise ValueError("trainer.accelerator=mps but torch sees no Apple GPU; use cpu")
    if isinstance(strategy, ModelParallel):
        strategy.check(devices, num_nodes)
    every = min(val_every, max_steps)
    options = _as_plugin(_precision(precision, accelerator))
    options["plugins"] += plugins or []
    blocks = CompileBlocks(activation_checkpointing=activation_checkpointing, compile=compile)
    timer = [] if max_minutes is None else [Timer(timedelta(minutes=max_minutes))]
    make = partial(
        L.Trainer,
        default_root_dir=folder,
        logger=logger,
        # Not max_time: its timer would come after those callbacks that wait for a step's end.
        callbacks=[blocks, *timer, *callbacks],
        max_steps=max_steps,
        max_epochs=-1,
        val_check_interval=every * accumulate,
        check_val_every_n_epoch=None,
        accumulate_grad_batches=accumulate,
        gradient_clip_val=clip,
        **options,
        accelerator=accelerator,
        devices=devices,
        num_nodes=num_nodes,
        strategy=strategy,
        limit_val_batches=limit_val_batches,
        limit_test_batches=limit_test_batches,
        deterministic=deterministic,
        benchmark=benchmark,
        detect_anomaly=detect_anomaly,
        profiler=profiler or NoProfiler(),
        # Order and shares of the data are the data module's: equal on any number of processes.
        use_distributed_sampler=False,
        # A restart must not count what it did not do; the first validation is at val_every.
        num_sanity_val_steps=0,
        # Logging is done by the Meter callback, at log_every and not at every step.
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    try:
        made = make()
    except MisconfigurationException as error:
        raise ValueError(str(error)) from error
    for callback in made.callbacks:  # type: ignore[attr-defined]
        leave_out_empty_hooks(callback)
    return made


STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_before_zero_grad",
    "on_train_batch_end",
)


def leave_out_empty_hooks(callback: L.Callback) -> None:
    """Put None where a callback does nothing at each step; Lightning calls what is callable.

    With six callbacks these were thirty calls a step that did nothing: 0.1 ms.
    """
    for name in STEP_HOOKS:
        if getattr(type(callback), name) is getattr(L.Callback, name):
            setattr(callback, name, None)


def _precision(precision: str, accelerator: str) -> str:
    """`auto` is bf16-mixed on a GPU that has it, 32-true elsewhere."""
    if precision != "auto":
        return precision
    return "bf16-mixed" if device_kind(accelerator) == "cuda" and has_bf16() else "32-true"


def _as_plugin(precision: str) -> dict[str, Any]:
    """Float64 is asked for by a plug-in: by its name Lightning refuses it to sharded models."""
    plugins: list[Any] = [SafeCheckpointIO()]
    if precision == "64-true":
        return {"plugins": [DoublePrecision(), *plugins]}
    return {"precision": precision, "plugins": plugins}


class NoProfiler(PassThroughProfiler):
    """Lightning's, which enters a generator at each of a hundred places in a step: 0.1 ms."""

    _nothing = nullcontext()

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]
        return self._nothing
