"""Which of many runs belong together: those of one comparison, sweep or folder."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lightning_transformer.compare.report.comparison import Comparison
from lightning_transformer.compare.report.load import Loaded, Omitted, Run, comparison_in
from lightning_transformer.runs.result import COMPARISON_FILE

SWEEP_FILE = "multirun.yaml"  # Hydra's, of a sweep


@dataclass(frozen=True)
class Group:
    """Runs of one report.

    Attributes:
        folder: where the report goes.
        comparisons: what `compare run` has written of them.
        left_out: what could not be read.
        planned: they are a comparison or a sweep, not what came to lie in one folder.
    """

    folder: Path
    runs: list[Run]
    comparisons: list[Comparison] = field(default_factory=list)
    left_out: list[Omitted] = field(default_factory=list)
    planned: bool = True


def grouped(paths: Sequence[Path], loaded: Loaded) -> list[Group]:
    """The runs of all paths as one group, or, below a folder of several, a group for each."""
    homes: dict[Path, list[Run]] = defaultdict(list)
    below: dict[Path, set[Path]] = defaultdict(set)
    for run in loaded.runs:
        path = _path_of(run, paths)
        home = _home(run, path)
        homes[home].append(run)
        below[path].add(home)
    if all(len(found) == 1 for found in below.values()):
        return [_group(place(paths), list(homes), loaded.runs, loaded.left_out)]
    return [
        _group(home, [home], homes[home], [x for x in loaded.left_out if _is_below(x, home)])
        for home in sorted(homes)
    ]


def _group(folder: Path, homes: Sequence[Path], runs: list[Run], left_out: list[Omitted]) -> Group:
    comparisons, broken = [], []
    for home in homes:
        found, errors = comparison_in(home)
        comparisons += [found] if found else []
        broken += errors
    planned = (
        bool(comparisons)
        or any((home / SWEEP_FILE).is_file() for home in homes)
        or all(any("sweep=" in text for text in run.result.overrides) for run in runs)
    )
    return Group(folder, list(runs), comparisons, [*left_out, *broken], planned)


def place(paths: Sequence[Path]) -> Path:
    """Where a report goes: beside the runs, or in a folder named after several."""
    first = paths[0] if paths[0].is_dir() else paths[0].parent
    if len(paths) == 1:
        return first
    return first.parent / "+".join(path.resolve().name for path in paths)


def _path_of(run: Run, paths: Sequence[Path]) -> Path:
    """The given path that a run was found at or below, the nearest one."""
    above = [path for path in paths if path in (run.folder / "result.json", run.folder)
             or path in run.folder.parents]  # fmt: skip
    return max(above or [run.folder], key=lambda path: len(path.parts))


def _home(run: Run, path: Path) -> Path:
    """The folder of the comparison or sweep that a run belongs to, not above the given path."""
    if path in (run.folder, run.folder / "result.json"):
        return run.folder
    parents = list(run.folder.parents)
    parents = parents[: parents.index(path) + 1] if path in parents else parents[:1]
    for parent in parents:
        if (parent / COMPARISON_FILE).is_file() or (parent / SWEEP_FILE).is_file():
            return parent
    return parents[0]


def _is_below(one: Omitted, home: Path) -> bool:
    return Path(one.place) == home or home in Path(one.place).parents
