"""`python -m lightning_transformer.compare watch NAME`: the table of a comparison that runs."""

import argparse
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from lightning_transformer.compare.run.outcome import history, steps_done
from lightning_transformer.runs.result import RESULT_FILE, RunResult, read

ROOT = Path("outputs/sweeps")
APART = ("screening", "logs")


def main(argv: Sequence[str]) -> int:
    """Return the exit status: 0, 2 for bad input, 130 after Ctrl-C."""
    asked = _parser().parse_args(list(argv))
    folder = Path(asked.name) if Path(asked.name).is_dir() else ROOT / asked.name
    if not folder.is_dir():
        near = sorted(path.name for path in ROOT.glob("*") if path.is_dir())
        shown = f"; there are {', '.join(near[-5:])}" if near else ""
        print(f"error: {folder} does not exist{shown}", file=sys.stderr)
        return 2
    console = Console(highlight=False)
    try:
        if asked.once:
            console.print(look(folder))
            return 0
        with Live(look(folder), console=console, auto_refresh=False) as live:
            while not _is_done(folder):
                time.sleep(asked.every)
                live.update(look(folder), refresh=True)
    except KeyboardInterrupt:
        return 130
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def look(folder: Path) -> Group:
    """The table as of now, one row per variant, and the line about the whole."""
    comparison = _read_comparison(folder)
    rows: dict[str, list[tuple[Path, RunResult]]] = defaultdict(list)
    for path, result in _runs(folder):
        rows[_label(path.name, comparison)].append((path, result))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("variant", overflow="fold")
    for name in ("runs", "step", "val/loss", "±", "test/loss", "lr"):
        table.add_column(name, justify="right")
    table.add_column("")
    for label in [*comparison.get("lr", {}).get("screening", {}), *rows]:
        rows.setdefault(label, [])
    for label, found in sorted(rows.items(), key=lambda item: _rank(item[1])):
        table.add_row(escape(label), *_cells(label, found, comparison))
    n = sum(len(found) for found in rows.values())
    done = sum(r.status == "finished" for found in rows.values() for _, r in found)
    stage = f"stage {comparison['stage']}, " if comparison else ""
    screened = len(list((folder / "screening").glob(f"*/{RESULT_FILE}")))
    screening = f", {screened} screening runs begun" if screened else ""
    failures = [f"failed  {f['run']}: {f['error']}" for f in comparison.get("failures", [])]
    lines = [f"{stage}{done} of {n} begun runs finished{screening}", *failures]
    return Group(table, *map(escape, lines))


def _cells(
    label: str, found: list[tuple[Path, RunResult]], comparison: dict[str, Any]
) -> list[str]:
    finished = sum(result.status == "finished" for _, result in found)
    steps = [result.steps or steps_done(path) for path, result in found]
    losses = [loss for path, result in found if (loss := _loss(path, result)) is not None]
    tests = [value for _, r in found if (value := r.metrics.get("test/loss")) is not None]
    rate = comparison.get("lr", {}).get("chosen", {}).get(label)
    stopped = comparison.get("stopped", {}).get(label)
    failed = sum(result.status == "failed" for _, result in found)
    notes = [f"stopped at step {stopped['step']}"] if stopped else []
    notes += [f"{failed} failed or diverged"] if failed else []
    return [
        f"{finished}/{len(comparison.get('seeds', found))}",
        f"{min(steps):,}" if steps else "-",
        f"{statistics.mean(losses):.4f}" if losses else "-",
        f"{statistics.stdev(losses):.4f}" if len(losses) > 1 else "",
        f"{statistics.mean(tests):.4f}" if tests else "-",
        "-" if rate is None else f"{rate:g}",
        "; ".join(notes),
    ]


def _loss(path: Path, result: RunResult) -> float | None:
    """The newest validation loss of a run."""
    if result.status == "finished":
        return result.metrics.get("val/loss")
    points = history(path).get("val/loss", [])
    return points[-1][1] if points else None


def _rank(found: list[tuple[Path, RunResult]]) -> float:
    losses = [loss for path, result in found if (loss := _loss(path, result)) is not None]
    return statistics.mean(losses) if losses else float("inf")


def _runs(folder: Path) -> list[tuple[Path, RunResult]]:
    """The runs of a comparison or of a plain sweep, without those that chose the rates."""
    found = sorted(path.parent for path in folder.glob(f"*/{RESULT_FILE}"))
    return [(path, read(path)) for path in found if path.name not in APART]


def _label(name: str, comparison: dict[str, Any]) -> str:
    """The variant that a folder's name tells: all but its seed."""
    if comparison.get("placebo") and "init_seed=" in name:
        return str(comparison["placebo"])
    parts = [part for part in name.split(",") if not part.startswith("seed=")]
    by = comparison.get("by", [])
    ordered = sorted(parts, key=lambda part: _place(part.split("=")[0], by))
    return ",".join(ordered) or name


def _place(key: str, by: Sequence[str]) -> int:
    return by.index(key) if key in by else len(by)


def _read_comparison(folder: Path) -> dict[str, Any]:
    path = folder / "comparison.json"
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(f"{path} is not valid JSON") from None
    return content if isinstance(content, dict) else {}


def _is_done(folder: Path) -> bool:
    return _read_comparison(folder).get("stage") == "done" or not os.path.isdir(folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lightning_transformer.compare watch",
        description="Show how a comparison stands, again every few seconds until it is done.",
    )
    parser.add_argument("name", help="of the comparison, or its folder")
    parser.add_argument("--once", action="store_true", help="show it once")
    parser.add_argument("--every", type=float, default=3.0, metavar="SECONDS", help="default 3")
    return parser
