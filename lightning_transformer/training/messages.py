"""Messages to the user at the start and at the end of a run."""

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.markup import escape

from lightning_transformer.config.auto_precision import BF16_FROM, is_wide
from lightning_transformer.data.base import DataModule
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.attention.kernels.auto import Auto
from lightning_transformer.nn.pattern.base import Pattern
from lightning_transformer.nn.position.rope_nope import RoPENoPE
from lightning_transformer.nn.stack import Stack
from lightning_transformer.paths import PROGRAM
from lightning_transformer.runs.result import RunResult
from lightning_transformer.runs.trusted_targets import must_be_typed_again
from lightning_transformer.tasks.reward import Reward
from lightning_transformer.tasks.rewards.exact import ExactAnswer
from lightning_transformer.training.preflight.precision import device_kind, resolve_precision
from lightning_transformer.training.request import RunRequest

Say = Callable[[str], None]


def notices(
    cfg: DictConfig, model: Transformer, pattern: Pattern, match: str = "none"
) -> Iterator[str]:
    """One line for each option of the run that does nothing, and for each that chooses by itself.

    pattern: as chosen, before the architecture adds to it. match: the chosen option of the group.
    """
    if match != "none":
        yield f"match={match} changes nothing in a run by itself; compare run solves for it"
    yield from _precision_chosen(cfg)
    layers = [m for m in model.modules() if isinstance(getattr(m, "kernel", None), Auto)]
    if layers:
        yield Auto.describe({need for layer in layers for need in getattr(layer, "needs", ())})
    reward = model.task.reward if isinstance(model.task, Reward) else None
    if cfg.trainer.monitor == "val/loss" and not isinstance(reward, ExactAnswer | None):
        yield (
            "trainer.monitor=val/loss chooses the best checkpoint by the true answers; by the "
            "reward: trainer.monitor=val/reward"
        )
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


def _precision_chosen(cfg: DictConfig) -> Iterator[str]:
    asked, accelerator = str(cfg.trainer.precision), str(cfg.trainer.accelerator)
    taken = resolve_precision(asked, accelerator, wide=is_wide(cfg))
    if asked != taken and taken != "32-true":
        where = "this GPU has it"
        if device_kind(accelerator) == "cpu":
            where = f"this processor has it, and model.d_model is {BF16_FROM} or more"
        yield f"trainer.precision=auto takes {taken}: {where}; 32-true is more exact, and slower"


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
    guessed = [f"{n} {v:.4g}" for n, v in result.baseline.items() if n.startswith(f"{split}/")]
    best = [f"{n} {v:.4g}" for n, v in result.floor.items() if n.startswith(f"{split}/")]
    if best:
        say("[bold]floor[/], the best there is  " + "  ".join(best))
    if guessed:
        say("[bold]baseline[/], one guess for all  " + "  ".join(guessed))
    return split


def part_lines(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """One line for each part of the data: its share, and how much a run sees of it."""
    width = max(map(len, parts), default=0)
    for name, part in parts.items():
        last = part.get("last_step")
        end = "" if last is None else f", the last of them in step {last:,} by its max_epochs"
        tokens = f" of {part['tokens']:,} tokens" if part.get("tokens") is not None else ""
        yield (
            f"  {name:<{width}}  {part['source']}  {part['share']:.2%} of the examples: "
            f"{part['examples']:,}{tokens}, {part['epochs']:.3g} epochs{end}"
        )


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


def data_line(data: DataModule) -> str:
    """What the data are, for the display."""
    identity = data.identity
    return (
        f"[bold]{identity.name}[/]  {identity.bytes / 1e6:.2f} MB, {identity.n_tokens:,} training "
        f"tokens, vocabulary of {data.vocabulary.size:,}  [dim]sha256 {identity.sha256[:12]}[/]"
    )
