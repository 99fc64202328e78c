"""Folders of several comparisons as runs leave them, with a known truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lightning_transformer.compare.across.parts import LADDER, TASKS, Part, RungSize, Several
from tests.unit.compare.report.made_runs import make_run

COMPUTE = (1e10, 1e11, 1e12)
Loss = Callable[[float], float]


def power_law(e: float = 1.2, a: float = 60.0, b: float = 0.16) -> Loss:
    """L(C) = e + a C^-b"""
    return lambda compute: e + a * compute**-b


def scaled(base: Loss, percents: Sequence[float]) -> Loss:
    """A loss that is so many percent above another one at each size."""
    return lambda compute: base(compute) * (1 + percents[COMPUTE.index(compute)] / 100)


def made_ladder(
    folder: Path,
    laws: Mapping[str, Loss],
    n_seeds: int = 5,
    noise: float = 0.002,
    rates: str = "screened",
    epochs: float = 0.5,
) -> Several:
    """Three sizes; laws: norm to its loss over compute, the baseline first by name."""
    rng = np.random.default_rng(0)
    parts = []
    for i, compute in enumerate(COMPUTE, start=1):
        tokens = 1000 * 10**i
        size = RungSize({"model.d_model": 16 * i}, 100 * 10**i, compute / tokens, 5, tokens, epochs)
        parts.append(Part(f"rung{i}", [f"model.d_model={16 * i}"], size))
        for seed in range(1, n_seeds + 1):
            shared = rng.normal(0, noise)
            for norm, law in laws.items():
                make_run(
                    folder / f"rung{i}" / f"norm={norm},seed={seed}",
                    seed=seed,
                    loss=law(compute) + shared + rng.normal(0, noise),
                    norm=norm,
                    tokens_seen=tokens,
                    flops_per_token=compute / tokens,
                )
    several = Several(LADDER, folder.name, parts, {}, rates)
    several.write(folder)
    return several


def made_tasks(
    folder: Path, means: Mapping[str, Mapping[str, float]], n_seeds: int = 5, noise: float = 0.01
) -> Several:
    """means: task to norm to loss."""
    rng = np.random.default_rng(0)
    parts = []
    for task, of_task in means.items():
        parts.append(Part(task, [f"data={task}"]))
        for seed in range(1, n_seeds + 1):
            for norm, mean in of_task.items():
                place = folder / task / f"norm={norm},seed={seed}"
                make_run(place, seed=seed, loss=mean + rng.normal(0, noise), norm=norm)
    several = Several(TASKS, folder.name, parts)
    several.write(folder)
    return several
