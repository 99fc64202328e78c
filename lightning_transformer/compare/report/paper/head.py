"""The first block of a report: the question, and what it was answered with."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from lightning_transformer.compare.report.contents import Fact
from lightning_transformer.compare.report.design import Design
from lightning_transformer.compare.report.facts import compute
from lightning_transformer.compare.report.load import Run
from lightning_transformer.paths import PROGRAM

SWEEP_FILE = "multirun.yaml"  # Hydra's, beside the runs of a sweep
LONGEST = 6  # seeds or variants that are listed one by one


def head(design: Design) -> list[Fact]:
    """Question, command, size, steps, tokens, compute, batch, optimizer, seeds, hours, ..."""
    runs = design.runs
    facts = [
        Fact("question", _question(design)),
        Fact("command", _command(design)),
        Fact("size", _size(runs)),
        Fact("steps", _range(run.result.steps for run in runs)),
        Fact("tokens", _range(run.result.tokens_seen for run in runs)),
        Fact("compute", compute(design)),
        Fact("batch", _batch(runs)),
        Fact("optimizer", _optimizer(design)),
        Fact("seeds", _seeds(design.seeds)),
        Fact("hours", _hours(runs)),
        Fact("machine", _listed(run.result.device for run in runs)),
        Fact("date", _date(runs)),
    ]
    return [fact for fact in facts if fact.value]


def _question(design: Design) -> str:
    """Does norm change test/loss? rmsnorm (baseline) against layernorm and dyt."""
    keys = " and ".join(design.by) or "the variant"
    others = list(design.labels[1:])
    more = f" and {len(others) - LONGEST} more" if len(others) > LONGEST else ""
    shown = ", ".join(others[:LONGEST]) + more
    against = f" against {shown}" if others else ""
    question = f"{'Do' if len(design.by) > 1 else 'Does'} {keys} change {design.metric}?"
    return f"{question} {design.baseline} (baseline){against}"


def _command(design: Design) -> str:
    """What was typed, as `compare run` or Hydra recorded it; else that of one run."""
    if design.comparison.command:
        return design.comparison.command
    for folder in {run.folder.parent for run in design.runs}:
        if typed := _typed(folder / SWEEP_FILE):
            return f"{PROGRAM} -m {shlex.join(typed)}"
    first = next(iter(design.cells[design.baseline].values()), None)
    if first is None or not first.result.overrides:
        return ""
    return f"{PROGRAM} {shlex.join(first.result.overrides)} (one of the runs)"


def _typed(file: Path) -> list[str]:
    """The overrides of a sweep, from the file that Hydra writes; [] where it tells none."""
    try:
        content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        found = content["hydra"]["overrides"]["task"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return []
    return [str(text) for text in found] if isinstance(found, list) else []


def _size(runs: Sequence[Run]) -> str:
    inner = _range(run.result.n_params_non_embedding for run in runs)
    total = _range(run.result.n_params for run in runs)
    if not inner:
        return f"{total} parameters" if total else ""
    return f"{inner} parameters without embeddings" + (f", {total} with them" if total else "")


def _batch(runs: Sequence[Run]) -> str:
    """Sequences and their length, as configured."""
    pairs = {(run.config.get("data.batch_size"), run.config.get("data.seq_len")) for run in runs}
    shown = [f"{a} x {b} tokens" for a, b in pairs if a is not None and b is not None]
    return " or ".join(sorted(shown))


def _optimizer(design: Design) -> str:
    runs = design.runs
    names = _listed(run.result.choices.get("optimizer") for run in runs)
    if design.comparison.lr.policy not in ("", "fixed"):
        rate = "learning rate tuned per variant"
    else:
        rates = {run.config.get("optimizer.lr") for run in runs}
        known = sorted(float(rate) for rate in rates if isinstance(rate, int | float))
        rate = f"learning rate {', '.join(f'{one:g}' for one in known)}" if known else ""
    schedule = _listed(run.result.choices.get("schedule") for run in runs)
    return "; ".join(filter(None, (names, rate, f"schedule {schedule}" if schedule else "")))


def _seeds(seeds: Sequence[int]) -> str:
    shown = ", ".join(map(str, seeds[:LONGEST])) + (", .." if len(seeds) > LONGEST else "")
    return f"{len(seeds)} ({shown})" if seeds else ""


def _hours(runs: Sequence[Run]) -> str:
    """Of training, over all runs of the report; those of a learning-rate search come on top."""
    seconds = sum(run.result.seconds or 0.0 for run in runs)
    return f"{seconds / 3600:.3g} of training, {len(runs)} runs" if seconds else ""


def _date(runs: Sequence[Run]) -> str:
    """The day on which the runs ended, or the first and the last."""
    days = sorted({run.result.ended[:10] for run in runs if run.result.ended})
    return " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""


def _listed(values: Iterable[str | None]) -> str:
    return ", ".join(sorted({str(value) for value in values if value}))


def _range(values: Iterable[float | None]) -> str:
    """1,234, or 1,234 to 2,345."""
    known = [value for value in values if value is not None]
    return " to ".join(dict.fromkeys(f"{f(known):,.0f}" for f in (min, max))) if known else ""
