"""From what was asked to the page: compose, read the data, print."""

import sys

from hydra.utils import get_object
from omegaconf import DictConfig
from rich.console import Console
from rich.text import Text

from lightning_transformer.cli.data_command import EXPLAIN, LookRequest
from lightning_transformer.config.compose import (
    composed_with_options,
    composer,
    preflight,
    register,
)
from lightning_transformer.errors import ConfigError
from lightning_transformer.look.finished import check_unchanged, config_of, leave_out
from lightning_transformer.look.matching import matching
from lightning_transformer.look.opened import OpenedData, open_data
from lightning_transformer.look.page import Page, plural
from lightning_transformer.look.readable import signs_for
from lightning_transformer.paths import PROGRAM

WIDTH = 100  # letters of a line where there is no terminal
NAMED = ("data", "tokenizer", "packing", "task", "model")


def show(request: LookRequest) -> None:
    """Print the page, or the samples of a step; ConfigError or ValueError for what cannot be."""
    cfg, choices, said = _configured(request)
    n_steps = int(cfg.trainer.max_steps)
    if request.step is not None and request.step >= n_steps > 0:
        raise ConfigError(
            f"{EXPLAIN}{request.step + 1} is beyond the last step, trainer.max_steps={n_steps}; "
            f"choose 1 to {n_steps}"
        )
    opened = open_data(cfg, choices)
    if request.run is not None:
        check_unchanged(request.run, opened.data)
        leave_out(request.run, opened.data)
    console = Console(file=sys.stdout, highlight=False, force_jupyter=False)
    if not console.is_terminal:
        console.width = WIDTH
    page = Page(console, opened, signs_for(getattr(sys.stdout, "encoding", None)), request.n_tokens)
    _head(page, opened, choices, int(cfg.seed))
    for line in said:
        page.say(line)
    if request.step is None:
        page.summary(request.n_examples)
        return
    page.title(f"Step {request.step + 1:,} of {n_steps:,}", _cut(opened))
    page.step(request.step)


def _configured(request: LookRequest) -> tuple[DictConfig, dict[str, str], list[str]]:
    """The configuration, its choices by group, and what is to be said of them."""
    if request.run is not None:
        return config_of(request.run, request.trust), {}, []
    overrides = list(request.overrides)
    if resumed := [text for text in overrides if text.startswith("resume=")]:
        folder = resumed[-1].removeprefix("resume=")
        raise ConfigError(
            f"{resumed[-1]}: to see what a run saw, name its folder alone, as in "
            f"`{PROGRAM}.data {folder} {EXPLAIN}{(request.step or 0) + 1}`"
        )
    register()
    if preflight(overrides, request.config_dirs) > 1:
        raise ConfigError("several values for one key: look at one configuration at a time")
    with composer(request.config_dirs) as loader:
        cfg, choices = composed_with_options(overrides)
        found = matching(cfg, overrides, choices["model"], loader)
        if not found:
            return cfg, choices, []
        task, model = found[0]
        cfg, choices = composed_with_options([*overrides, f"task={task}", f"model={model}"])
    kind = get_object(cfg.data._target_).example.__name__
    said = f"data={choices['data']} gives {kind} examples: shown for task={task} model={model}"
    others = ", or ".join(f"task={t} model={m}" for t, m in found[1:])
    return cfg, choices, [f"{said}; other choices: {others}" if others else said]


def _head(page: Page, opened: OpenedData, choices: dict[str, str], seed: int) -> None:
    data, identity = opened.data, opened.data.identity
    page.say(
        Text.assemble(
            (identity.name, "bold"),
            f"  {identity.bytes / 1e6:,.2f} MB, vocabulary of {data.vocabulary.size:,}  ",
            (f"sha256 {identity.sha256[:12]}", "dim"),
        )
    )
    typed = [f"{name}={choices[name]}" for name in NAMED if name in choices]
    typed += [f"data.{name}={getattr(data, name)}" for name in ("seq_len", "batch_size")]
    page.say("  ".join([*typed, f"seed={seed}"]), "dim")


def _cut(opened: OpenedData) -> str:
    """How a step is cut."""
    parts = [plural(opened.data.batch_size, "example")]
    parts += [plural(opened.n_ranks, "rank")] if opened.n_ranks > 1 else []
    parts += [f"{opened.accumulate} micro-batches"] if opened.accumulate > 1 else []
    return ", ".join(parts)
