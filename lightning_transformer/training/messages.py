"""Messages to the user at the start and at the end of a run."""

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig
from rich.markup import escape

from lightning_transformer.data.base import DataModule
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.attention.kernels.auto import Auto
from lightning_transformer.nn.pattern.base import Pattern
from lightning_transformer.nn.position.rope_nope import RoPENoPE
from lightning_transformer.nn.stack import Stack
from lightning_transformer.paths import PROGRAM
from lightning_transformer.runs.result import RunResult
from lightning_transformer.runs.trusted_targets import must_be_typed_again
from lightning_transformer.training.request import RunRequest

Say = Callable[[str], None]
LOOKED_AT = 1024  # examples of a split, where the first ones have no target


def notices(
    cfg: DictConfig, model: Transformer, pattern: Pattern, match: str = "none"
) -> Iterator[str]:
    """One line for each option of the run that does nothing, and for the kernel that is used.

    pattern: as chosen, before the architecture adds to it. match: the chosen option of the group.
    """
    if match != "none":
        yield f"match={match} changes nothing in a run by itself; compare run solves for it"
    layers = [m for m in model.modules() if isinstance(getattr(m, "kernel", None), Auto)]
    if layers:
        yield Auto.describe({need for layer in layers for need in getattr(layer, "needs", ())})
    window, n_global = getattr(pattern, "window", None), getattr(pattern, "n_global", 0)
    longest = int(cfg.data.seq_len) + model.task.n_extra_tokens
    stacks = [module for module in model.modules() if isinstance(module, Stack)]
    n_layers = max(stack.n_layers for stack in stacks)
    if window is not None and all(sees_all(pattern.for_layer(i), longest) for i in range(n_layers)):
        yield (
            f"pattern.window={window} reaches over all of data.seq_len={cfg.data.seq_len}, so that "
            f"it is the same as pattern=full; "
            + (
                f"a window and n_global of less than {longest} together are not"
                if n_global
                else f"a window below {longest} is not"
            )
        )
    for position in (stack.position for stack in stacks):
        if isinstance(position, RoPENoPE) and all(map(position.acts_on, range(n_layers))):
            yield (
                f"position.n_rope={position.n_rope} turns all {n_layers} layers, so that it is the "
                f"same as position=rope; a number below {n_layers} is not"
            )
            break


def without_targets(data: DataModule) -> Iterator[str]:
    """One line for each split in which the task finds no target; data: connected."""
    for split, examples in data.splits.items():
        n_examples = min(len(examples), LOOKED_AT)
        if not data.has_targets(split, n_examples):
            what = "nothing is learned" if split == "train" else "its metrics are nan"
            yield f"none of the first {n_examples:,} examples of data.{split} has a target: {what}"


def sees_all(pattern: Pattern, length: int) -> bool:
    """Whether the first and the last token of a row see all of it, as with pattern=full."""
    places = torch.arange(length)
    ends = places[[0, -1], None]
    return bool(pattern(ends, places).all())


def log_summary(result: RunResult, say: Say) -> str:
    """Say status and metrics of the last split that there are metrics of; return its name."""
    splits = [name for name in ("test", "val") if f"{name}/loss" in result.metrics]
    split = splits[0] if splits else "train"
    values = [f"{n} {v:.4g}" for n, v in result.metrics.items() if v is not None and split in n]
    steps = "the start" if result.steps is None else f"step {result.steps:,}"
    if result.stopped_early is not None:
        say(f"[bold]stopped early[/]: {escape(result.stopped_early)}")
    say(f"[bold]{result.status}[/] at {steps}  " + "  ".join(values))
    return split


def next_commands(
    result: RunResult, request: RunRequest, packages: Sequence[str], say: Say
) -> None:
    """Say how to look at the run, to use its model and to go on with it, to be typed as they are.

    packages: not of this project, but named by its configuration.
    """
    name = _typed(request.folder, request)
    options = [f"--config-dir {shlex.quote(folder)}" for folder in request.config_dirs]
    again = [shlex.quote(override) for override in must_be_typed_again(result.overrides)]
    if result.status != "stopped" and result.stopped_early is None:
        again.append(f"trainer.max_steps={2 * (result.steps or 1)}")
    trust = [f"--trust {package}" for package in packages]
    lines = [
        f"use       {' '.join([f'{PROGRAM}.generate {name}', *trust])}",
        f"go on     {' '.join([PROGRAM, *options, f'resume={name}', *again])}",
    ]
    if any(request.folder.glob("**/events.out.tfevents.*")):  # not with logger=none
        lines.insert(
            0, f"view      tensorboard --logdir {_typed(_logdir(request.folder), request)}"
        )
    for line in lines:
        say(escape(line))


def _typed(folder: Path, request: RunRequest) -> str:
    """A folder as it is typed where the run was started, quoted for the shell."""
    return shlex.quote(os.path.relpath(folder, request.started_in))


def _logdir(folder: Path) -> Path:
    """The folder above runs/ and sweeps/, so that TensorBoard shows this run among the others."""
    for parent in folder.parents:
        if parent.name in ("runs", "sweeps"):
            return parent.parent
    return folder
