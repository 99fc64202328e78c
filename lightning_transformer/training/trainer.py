"""The trainer options that this project names, and how they become a Lightning Trainer."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments import ClusterEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.precision import DoublePrecision

from lightning_transformer.checkpoint.io import SafeCheckpointIO
from lightning_transformer.distributed.processes import n_started
from lightning_transformer.distributed.slurm import slurm_environment
from lightning_transformer.nn import checks
from lightning_transformer.runs.metric_direction import mode_of
from lightning_transformer.training.callbacks.compile_blocks import CompileBlocks
from lightning_transformer.training.debug.profiler import PROFILERS, make_profiler
from lightning_transformer.training.preflight.precision import resolve_precision
from lightning_transformer.training.strategy import ModelParallel


@dataclass(frozen=True, kw_only=True)
class TrainerOptions:
    """How long, how often, how exactly and on what a model is trained; see conf/trainer/auto.yaml.

    Raises ValueError for values out of range or a device that is not there.
    """

    max_steps: int = 800
    val_every: int = 200
    save_every: int | None = None
    log_every: int = 20
    accumulate: int = 1
    clip: float | None = 1.0
    clip_value: float | None = None
    monitor: str = "val/loss"
    monitor_mode: str | None = None
    precision: str = "auto"
    accelerator: str = "auto"
    devices: int | str = 1
    num_nodes: int = 1
    strategy: Any = "auto"
    max_minutes: float | None = None
    limit_val_batches: int | None = None
    limit_test_batches: int | None = None
    deterministic: bool = False
    benchmark: bool = False
    detect_anomaly: bool = False
    activation_checkpointing: bool = False
    compile: bool | str = "auto"
    profiler: str | None = None
    plugins: Any = None

    def __post_init__(self) -> None:
        for key in AT_LEAST_ONE:
            value = getattr(self, key)
            if value is not None:
                checks.at_least(f"trainer.{key}", value, 1)
        if self.clip is not None:
            checks.positive("trainer.clip", self.clip, 1.0)
        if self.clip_value is not None:
            checks.positive("trainer.clip_value", self.clip_value, 0.5)
            if self.clip is not None:
                raise ValueError(
                    f"trainer.clip_value={self.clip_value} beside trainer.clip={self.clip}: a "
                    "gradient is clipped in one way; add trainer.clip=null"
                )
        mode_of(self.monitor, self.monitor_mode, "trainer.monitor_mode")
        if self.profiler is not None and self.profiler not in PROFILERS:
            names = ", ".join(PROFILERS)
            raise ValueError(f"trainer.profiler={self.profiler} must be one of {names}, or null")
        if self.max_minutes is not None:
            checks.positive("trainer.max_minutes", self.max_minutes, 60.0)
            if self.max_minutes > MOST_MINUTES:
                most = f"must be at most {MOST_MINUTES}, or null"
                raise ValueError(f"trainer.max_minutes={self.max_minutes} {most}")
        if self.compile not in (True, False, "auto"):
            raise ValueError(f"trainer.compile={self.compile} must be true, false or auto")
        if not isinstance(self.plugins, list | None):
            raise ValueError(f"trainer.plugins={self.plugins} must be a list, such as [], or null")
        self._check_devices()

    def _check_devices(self) -> None:
        checks.between("trainer.num_nodes", self.num_nodes, 1, MOST_PROCESSES)
        if isinstance(self.devices, int):
            checks.between("trainer.devices", self.devices, 1, MOST_PROCESSES)
        elif self.devices != "auto":
            raise ValueError(
                f"trainer.devices={self.devices} must be a whole number, such as 1, or auto"
            )
        if self.accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
            raise ValueError(
                f"trainer.accelerator={self.accelerator} but torch sees no GPU; use cpu"
            )
        if self.accelerator == "mps" and not torch.mps.is_available():
            raise ValueError("trainer.accelerator=mps but torch sees no Apple GPU; use cpu")
        if isinstance(self.strategy, ModelParallel):
            self.strategy.check(self.devices, self.num_nodes)

    def to_lightning(
        self, *, folder: Path, logger: list[Logger], callbacks: list[L.Callback], wide: bool
    ) -> L.Trainer:
        """A Trainer that counts optimizer steps and writes into one run folder.

        wide: of the model, for `resolve_precision`.
        Raises ValueError, with Lightning's message, for what Lightning refuses.
        """
        try:
            return L.Trainer(
                default_root_dir=folder,
                logger=logger,
                callbacks=[*self._callbacks(), *callbacks],
                max_steps=self.max_steps,
                max_epochs=-1,
                val_check_interval=min(self.val_every, self.max_steps) * self.accumulate,
                check_val_every_n_epoch=None,
                accumulate_grad_batches=self.accumulate,
                gradient_clip_val=self.clip if self.clip_value is None else self.clip_value,
                gradient_clip_algorithm="norm" if self.clip_value is None else "value",
                **self._precision_and_plugins(wide),
                accelerator=self.accelerator,
                devices=n_started(self.devices, self.num_nodes),
                num_nodes=self.num_nodes,
                strategy=self.strategy,
                limit_val_batches=self.limit_val_batches,
                limit_test_batches=self.limit_test_batches,
                deterministic=self.deterministic,
                benchmark=self.benchmark,
                detect_anomaly=self.detect_anomaly,
                profiler=make_profiler(self.profiler, folder),
                # The data module gives each process its share: the same for any number of them.
                use_distributed_sampler=False,
                # A restart must not count what it did not do; the first validation is at val_every.
                num_sanity_val_steps=0,
                # Logging is done by the MetricLogger callback, at log_every and not at every step.
                log_every_n_steps=1,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
        except MisconfigurationException as error:
            raise ValueError(str(error)) from error

    def _callbacks(self) -> list[L.Callback]:
        blocks = CompileBlocks(
            activation_checkpointing=self.activation_checkpointing,
            compile=self.compile is True,  # a run decides what auto is: preflight.compiling
        )
        if self.max_minutes is None:
            return [blocks]
        # Not Trainer(max_time=): its timer would come after callbacks that wait for a step's end.
        return [blocks, Timer(timedelta(minutes=self.max_minutes))]

    def _precision_and_plugins(self, wide: bool) -> dict[str, Any]:
        plugins: list[Any] = [SafeCheckpointIO(), *(self.plugins or [])]
        if not any(isinstance(plugin, ClusterEnvironment) for plugin in plugins):
            environment = slurm_environment(self.num_nodes)
            plugins += [] if environment is None else [environment]
        precision = resolve_precision(self.precision, self.accelerator, wide=wide)
        if precision == "64-true":  # as a plug-in: by name Lightning refuses it to sharded models
            return {"plugins": [DoublePrecision(), *plugins]}
        return {"precision": precision, "plugins": plugins}


AT_LEAST_ONE = (
    *("max_steps", "val_every", "log_every", "save_every", "accumulate"),
    *("limit_val_batches", "limit_test_batches"),
)
MOST_PROCESSES = 65536  # on one machine, and machines
MOST_MINUTES = 10_000_000  # nineteen years
