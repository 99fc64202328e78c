"""`python -m lightning_transformer.compare watch NAME`: the table of a running comparison."""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from lightning_transformer.compare.across.parts import read_several
from lightning_transformer.compare.report.comparison import (
    Comparison,
    RateSearch,
    read_comparison,
)
from lightning_transformer.compare.run.outcome import history, steps_done
from lightning_transformer.runs.result import APART, RESULT_FILE, RunResult, read

ROOT = Path("outputs/sweeps")


def main(argv: Sequence[str]) -> int:
    """Return the exit status: 0, 2 for bad input, 130 after Ctrl-C."""
    arguments = _parser().parse_args(list(argv))
    folder = Path(arguments.name) if Path(arguments.name).is_dir() else ROOT / arguments.name
    if not folder.is_dir():
        near = sorted(path.name for path in ROOT.glob("*") if path.is_dir())
        shown = f"; there are {', '.join(near[-5:])}" if near else ""
        print(f"error: {folder} does not exist{shown}", file=sys.stderr)
        return 2
    console = Console(highlight=False)
    try:
        if arguments.once:
            console.print(tables(folder))
            return 0
        with Live(tables(folder), console=console, auto_refresh=False) as live:
            while not _is_done(folder):
                time.sleep(arguments.every)
                live.update(tables(folder), refresh=True)
    except KeyboardInterrupt:
        return 130
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def tables(folder: Path) -> Group:
    """The table of a comparison; of several, those of all that have begun, each below its name."""
    several = read_several(folder)
    if several is None:
        return status(folder)
    there = [part.name for part in several.parts if (folder / part.name).is_dir()]
    return Group(*(row for name in there for row in (name, status(folder / name), "")))


@dataclass(frozen=True)
class _Shown:
    """The progress of a run: result, last step, newest validation loss."""

    result: RunResult
    step: int
    loss: float | None


def status(folder: Path) -> Group:
    """The table as of now, one row per variant, the best first; then lines about all runs."""
    comparison = read_comparison(folder) or Comparison()
    rows: dict[str, list[_Shown]] = {label: [] for label in comparison.lr.screening}
    for path in sorted(file.parent for file in folder.glob(f"*/{RESULT_FILE}")):
        if path.name not in APART:
            rows.setdefault(_label(path.name, comparison), []).append(_read(path))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("variant", overflow="fold")
    for name in ("runs", "step", "val/loss", "±", "test/loss", "lr"):
        table.add_column(name, justify="right")
    table.add_column("")
    for label, runs in sorted(rows.items(), key=lambda item: _mean_loss(item[1])):
        table.add_row(escape(label), *_cells(label, runs, comparison))
    all_runs = [run for runs in rows.values() for run in runs]
    n_done = sum(run.result.status == "finished" for run in all_runs)
    stage = f"stage {comparison.stage}, " if comparison.stage else ""
    apart = [
        f", {n} {name} runs started"
        for name in ("screening", "ranking")
        if (n := len(list((folder / name).glob(f"*/{RESULT_FILE}"))))
    ]
    failures = [f"failed  {failure.run}: {failure.error}" for failure in comparison.failures]
    lines = [f"{stage}{n_done} of {len(all_runs)} started runs finished{''.join(apart)}"]
    lines += [*_search_lines(comparison.lr), *failures]
    return Group(table, *map(escape, lines))


def _search_lines(search: RateSearch) -> list[str]:
    """A line per variant: the rates and values tried so far with their losses by seed."""
    lines = []
    for label, runs in search.runs.items():
        tried = sorted((float(rate), losses) for rate, losses in runs.items())
        shown = ", ".join(f"{rate:g} {_losses(losses)}" for rate, losses in tried)
        chosen = search.chosen.get(label)
        end = "" if chosen is None else f"; chosen {chosen:g}, {search.rule.get(label, '')}"
        lines.append(f"lr      {label}: {shown or 'none tried yet'}{end}")
    for label, keys in search.tuned.items():
        for key, found in keys.items():
            shown = ", ".join(f"{value} {_losses(some)}" for value, some in found.losses.items())
            lines.append(f"tune    {label}: {key}={found.chosen} of {shown}")
    return lines


def _losses(losses: Sequence[float | None]) -> str:
    return "/".join("diverged" if loss is None else f"{loss:.4f}" for loss in losses)


def _cells(label: str, runs: Sequence[_Shown], comparison: Comparison) -> list[str]:
    finished = sum(run.result.status == "finished" for run in runs)
    failed = sum(run.result.status == "failed" for run in runs)
    paused = 0 if label in comparison.stopped else sum(r.result.status == "stopped" for r in runs)
    losses = [run.loss for run in runs if run.loss is not None]
    metrics = [run.result.metrics.get("test/loss") for run in runs]
    tests = [value for value in metrics if value is not None]
    rate, stopped = comparison.lr.chosen.get(label), comparison.stopped.get(label)
    notes = [f"stopped at step {stopped.step}"] if stopped else []
    notes += [f"{failed} failed or diverged"] if failed else []
    notes += [f"{paused} stopped, not finished"] if paused else []
    return [
        f"{finished}/{len(comparison.seeds or runs)}",
        f"{min(run.step for run in runs):,}" if runs else "-",
        f"{statistics.mean(losses):.4f}" if losses else "-",
        f"{statistics.stdev(losses):.4f}" if len(losses) > 1 else "",
        f"{statistics.mean(tests):.4f}" if tests else "-",
        "-" if rate is None else f"{rate:g}",
        "; ".join(notes),
    ]


def _read(folder: Path) -> _Shown:
    result = read(folder)
    points = history(folder).get("val/loss", [])
    newest = points[-1][1] if points else None
    loss = result.metrics.get("val/loss") if result.status == "finished" else newest
    return _Shown(result, result.steps or steps_done(folder), loss)


def _mean_loss(runs: Sequence[_Shown]) -> float:
    losses = [run.loss for run in runs if run.loss is not None]
    return statistics.mean(losses) if losses else float("inf")


def _label(name: str, comparison: Comparison) -> str:
    """The variant of a folder, by its name: all but its seed, in the order of the compared keys."""
    if comparison.placebo and "init_seed=" in name:
        return comparison.placebo
    parts = [part for part in name.split(",") if not part.startswith("seed=")]
    order = {key: i for i, key in enumerate(comparison.by)}
    parts.sort(key=lambda part: order.get(part.partition("=")[0], len(order)))
    return ",".join(parts) or name


def _is_done(folder: Path) -> bool:
    several = read_several(folder)
    if several is not None:
        places = [folder / part.name for part in several.parts]
        return all(place.is_dir() and _is_done(place) for place in places)
    comparison = read_comparison(folder)
    return not folder.is_dir() or (comparison is not None and comparison.stage == "done")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lightning_transformer.compare watch",
        description="Show the progress of a comparison, again every few seconds until it is done.",
    )
    parser.add_argument("name", help="of the comparison, or its folder")
    parser.add_argument("--once", action="store_true", help="show it once")
    parser.add_argument("--every", type=float, default=3.0, metavar="SECONDS", help="default 3")
    return parser
