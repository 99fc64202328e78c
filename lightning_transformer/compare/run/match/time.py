"""match=time: the measured time of a run is equal."""

import itertools
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import lightning as L
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.build import build, build_model
from lightning_transformer.compare.run.match.base import (
    add_planned_adapter,
    equal_cost,
    rebudgeted,
)
from lightning_transformer.compare.run.variants import Matched
from lightning_transformer.config.auto_precision import is_wide
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn import checks
from lightning_transformer.training.lightning_warnings import quiet_lightning

WARM = 3  # steps that are not counted
ROUNDS = 3  # of both in turns, so that a slower minute of the machine meets both


class Time:
    """Equal training time on this machine, as measured: the variant gets as many steps as fit in.

    steps = round(steps_baseline * t_baseline / t), t = median time of n_steps training steps, both
    measured in turns before anything else runs. Whatever is configured in steps follows.

    Raises ValueError where rounding to whole steps leaves more than the tolerance.
    """

    def __init__(self, *, n_steps: int = 20, tolerance: float = 0.05) -> None:
        checks.at_least("n_steps", n_steps, 5)
        checks.positive("tolerance", tolerance, 0.05)
        self.n_steps, self.tolerance = n_steps, tolerance

    def __call__(self, variant: DictConfig, baseline: DictConfig) -> Matched:
        times: dict[str, list[float]] = {"variant": [], "baseline": []}
        for _ in range(ROUNDS):
            times["baseline"].append(step_seconds(baseline, self.n_steps))
            times["variant"].append(step_seconds(variant, self.n_steps))
        costs = median(times["variant"]), median(times["baseline"])
        return equal_cost(variant, baseline, costs, self.tolerance, "training times")


def step_seconds(cfg: DictConfig, n_steps: int) -> float:
    """The median time of a training step of a configuration, in its own trainer."""
    clock = _Clock()
    cfg = cfg.copy()
    changes = rebudgeted(cfg, WARM + n_steps)
    changes |= {"trainer.val_every": WARM + n_steps, "trainer.limit_val_batches": 1}
    for key, value in changes.items():
        OmegaConf.update(cfg, key, value)
    data = build(cfg, "data")
    data.prepare()
    labels = data.labels or []
    seeds = {"seed": cfg.init_seed, "dropout_seed": cfg.seed}
    model = build_model(cfg, vocabulary=data.vocabulary, labels=labels, **seeds)
    add_planned_adapter(cfg, model)
    with tempfile.TemporaryDirectory() as folder, quiet_lightning():
        trainer = build(cfg, "trainer").to_lightning(
            folder=Path(folder), logger=[], callbacks=[clock], wide=is_wide(cfg)
        )
        collators = {split: model.task.collator(split) for split in data.splits}
        data.connect(collators, seed=cfg.seed, accumulate=trainer.accumulate_grad_batches)
        trainer.fit(model, datamodule=data)
    ends = clock.ends[WARM:]
    return median(b - a for a, b in itertools.pairwise(ends))


class _Clock(L.Callback):
    """When each optimizer step has ended, the device's work included."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        if trainer.global_step > len(self.ends):
            model = trainer.lightning_module
            assert isinstance(model, Transformer)
            assert model.step_loss is not None
            float(model.step_loss)  # waits for the device
            self.ends.append(time.perf_counter())
