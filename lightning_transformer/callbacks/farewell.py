"""The last lines of a run: what was reached, and what to type next."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path

from rich.markup import escape

from lightning_transformer.paths import PROGRAM
from lightning_transformer.results import RunResult

Say = Callable[[str], None]


def reached(result: RunResult, say: Say) -> str:
    """Say status and metrics of the last split that there are metrics of; return its name."""
    splits = [name for name in ("test", "val") if f"{name}/loss" in result.metrics]
    split = splits[0] if splits else "train"
    values = [f"{n} {v:.4g}" for n, v in result.metrics.items() if v is not None and split in n]
    steps = "the start" if result.steps is None else f"step {result.steps:,}"
    say(f"[bold]{result.status}[/] at {steps}  " + "  ".join(values))
    return split


def next_commands(result: RunResult, folder: Path, say: Say) -> None:
    """Say how to look at the run, to use its model and to go on with it."""
    name = escape(shlex.quote(os.path.relpath(folder)))
    more = "" if result.status == "stopped" else f" trainer.max_steps={2 * (result.steps or 1)}"
    if any(folder.glob("**/events.out.tfevents.*")):  # not with logger=none
        say(f"look      tensorboard --logdir {escape(shlex.quote(_logdir(folder)))}")
    say(f"use       {PROGRAM}.generate {name}")
    say(f"go on     {PROGRAM} resume={name}{more}")


def _logdir(folder: Path) -> str:
    """The folder above runs/ and sweeps/, so that TensorBoard shows this run among the others."""
    for parent in folder.parents:
        if parent.name in ("runs", "sweeps"):
            return os.path.relpath(parent.parent)
    return os.path.relpath(folder)
