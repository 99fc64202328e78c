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

from lightning_transformer.compare.report.comparison import Comparison, read_comparison
from lightning_transformer.compare.report.load import APART
from lightning_transformer.compare.run.outcome import history, steps_done
from lightning_transformer.runs.result import RESULT_FILE, RunResult, read

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
            console.print(status(folder))
            return 0
        with Live(status(folder), console=console, auto_refresh=False) as live:
            while not _is_done(folder):
                time.sleep(arguments.every)
                live.update(status(folder), refresh=True)
    except KeyboardInterrupt:
        return 130
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


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
    screened = len(list((folder / "screening").glob(f"*/{RESULT_FILE}")))
    screening = f", {screened} screening runs started" if screened else ""
    failures = [f"failed  {failure.run}: {failure.error}" for failure in comparison.failures]
    lines = [f"{stage}{n_done} of {len(all_runs)} started runs finished{screening}", *failures]
    return Group(table, *map(escape, lines))


def _cells(label: str, runs: Sequence[_Shown], comparison: Comparison) -> list[str]:
    finished = sum(run.result.status == "finished" for run in runs)
    failed = sum(run.result.status == "failed" for run in runs)
    losses = [run.loss for run in runs if run.loss is not None]
    metrics = [run.result.metrics.get("test/loss") for run in runs]
    tests = [value for value in metrics if value is not None]
    rate, stopped = comparison.lr.chosen.get(label), comparison.stopped.get(label)
    notes = [f"stopped at step {stopped.step}"] if stopped else []
    notes += [f"{failed} failed or diverged"] if failed else []
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
