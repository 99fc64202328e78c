"""Refuse a folder without a trained model, before torch is loaded."""

from __future__ import annotations

from pathlib import Path

from lightning_transformer.checkpoint import store
from lightning_transformer.runs.result import RESULT_FILE, read

CONFIG = "config.yaml"  # as checkpoint/run_files.py writes it
NAMES = tuple(store.NAMED)


def check_run(folder: Path, checkpoint: str) -> None:
    """Raise ValueError, in one line, unless folder is a run that has the checkpoint."""
    if not (folder / CONFIG).is_file():
        what = f"it has no {CONFIG}" if folder.is_dir() else "there is no such folder"
        raise ValueError(f"{folder} is not a run folder: {what}{_hint(folder)}")
    there = {name for name in NAMES if store.NAMED[name](folder / store.FOLDER)}
    if checkpoint in there:
        return
    others = sorted(there)
    instead = f"; use --checkpoint {others[0]}" if others else ""
    raise ValueError(f"{folder} has no checkpoint {checkpoint}: {_state(folder)}{instead}")


def _hint(folder: Path) -> str:
    """The newest run in the folder, or beside it, if any."""
    for place in (folder, folder.parent):
        runs = [path.parent for path in place.glob(f"*/{CONFIG}")]
        if runs:
            newest = max(runs, key=lambda run: (run / CONFIG).stat().st_mtime)
            return f"; the newest run there is {newest}"
    return ", such as outputs/runs/<date_time>"


def _state(folder: Path) -> str:
    """The status of a run without the checkpoint, from result.json."""
    try:
        result = read(folder)
    except ValueError:
        return f"it has no readable {RESULT_FILE} either"
    if result.status == "failed":
        return f"the run failed with {result.error}"
    if result.status == "running":
        return "the run has not reached its first validation; it is running or was killed"
    return f"the run is {result.status}"
