"""What `evaluate` leaves in a run folder: `evaluations/NAME.json`, and its metrics by name."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

EVALUATIONS = "evaluations"  # a folder in that of the run
EVALUATION_SCHEMA = 1


def read_evaluation(path: Path) -> dict[str, Any] | None:
    """The content of the file of an evaluation; None where it is no such file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.get("schema") != EVALUATION_SCHEMA:
        return None
    kinds = {"split": str, "overrides": list, "metrics": dict, "checkpoint": str}
    return content if all(isinstance(content.get(k), kind) for k, kind in kinds.items()) else None


def evaluated_metrics(run: Path) -> dict[str, float | None]:
    """Metrics of the evaluations of a run: ``eval[data.seq_len=256]/loss`` and so on.

    Another split than test, and another checkpoint than the best, stand in the brackets too. None
    where a value was not finite; one that could not be measured is left out.
    """
    found: dict[str, float | None] = {}
    for title, _, content in _titled(run):
        for name, value in content["metrics"].items():
            number = float(value) if type(value) in (int, float) and math.isfinite(value) else None
            found[f"{title}/{str(name).rpartition('/')[2]}"] = number
    return found


class ItemScores(NamedTuple):
    """The file with the score of each item behind a metric, and a digest of the items."""

    file: Path
    items: str


def item_scores(run: Path, metric: str) -> ItemScores | None:
    """Where the scores behind ``eval[tasks=NAME]/acc`` of a run are; None where there are none."""
    wanted, _, name = metric.rpartition("/")
    for title, path, content in _titled(run):
        files, data = content.get("item_scores"), content.get("data")
        if title != wanted or not isinstance(files, dict) or not isinstance(data, dict):
            continue
        own = {str(key).rpartition("/")[2]: file for key, file in files.items()}
        # A run folder may come from elsewhere: it names no file outside of its evaluations.
        if is_inside(own.get(name)):
            return ItemScores(path.parent / own[name], str(data.get("sha256")))
    return None


def is_inside(file: object) -> bool:
    """Whether a text is the path of a file below the folder that it is relative to."""
    return isinstance(file, str) and not Path(file).is_absolute() and ".." not in Path(file).parts


def _titled(run: Path) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """Title, file and content of each evaluation but the run's own test, again."""
    for path in sorted((run / EVALUATIONS).glob("*.json")):
        content = read_evaluation(path)
        if content is None:
            continue
        parts = [] if content["split"] == "test" else [f"split={content['split']}"]
        parts += map(str, content["overrides"])
        if content["checkpoint"] != "best":
            parts.append(f"checkpoint={content['checkpoint']}")
        if parts:
            yield f"eval[{' '.join(parts)}]", path, content
