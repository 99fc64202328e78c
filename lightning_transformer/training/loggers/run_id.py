"""The ids by which trackers know a run: kept in its folder, so that a resumed run goes on there."""

import json
import re
from pathlib import Path

from lightning_transformer.runs.atomic import write_atomically

RUN_IDS_FILE = "run_ids.json"
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def remembered(folder: Path, tracker: str) -> str | None:
    """The id that a tracker gave to the run of this folder; None if it has none yet.

    Raises ValueError in one line for a file that no run has written.
    """
    run_id = _read(folder).get(tracker)
    if run_id is not None and not (isinstance(run_id, str) and ID.fullmatch(run_id)):
        raise ValueError(f"{folder / RUN_IDS_FILE}: {tracker} has no valid id; remove the file")
    return run_id


def remember(folder: Path, tracker: str, run_id: str) -> None:
    """Note the id that a tracker gave to the run."""
    known = _read(folder)
    if known.get(tracker) != run_id:
        content = json.dumps({**known, tracker: run_id}, indent=1)
        write_atomically(folder / RUN_IDS_FILE, content + "\n")


def _read(folder: Path) -> dict[str, object]:
    file = folder / RUN_IDS_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"{file} is not the JSON that a run has written; remove it")
    return content
