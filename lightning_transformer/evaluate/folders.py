"""The runs that are named: run folders, and the finished runs of sweeps and comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_transformer.generate.run_folder import CONFIG, check_run
from lightning_transformer.runs.result import find_results


@dataclass(frozen=True)
class FoundRuns:
    """Run folders with a checkpoint, and a line for each run that is left out."""

    runs: list[Path]
    left_out: list[str]


def runs_at(paths: Sequence[Path], checkpoint: str) -> FoundRuns:
    """The runs at the paths, each once.

    A run folder itself may be of a run that was stopped; of a folder of several, the finished ones
    are taken. Raises ValueError, in one line, for a folder without a trained run.
    """
    runs: dict[Path, None] = {}
    left_out: list[str] = []
    for path in paths:
        if (path / CONFIG).is_file() or not path.is_dir():
            check_run(path, checkpoint)
            runs[path] = None
            continue
        taken = screened = 0
        for found in find_results([path]):
            folder = found.file.parent
            if found.mark == "screening":
                screened += 1
            elif found.mark:
                left_out.append(f"{folder}: {found.mark}")
            else:
                check_run(folder, checkpoint)
                runs[folder] = None
                taken += 1
        if screened:
            left_out.append(f"{path}: {screened} screening runs, which chose a learning rate")
        if not taken and left_out:
            raise ValueError(f"{path} holds no finished run ({left_out[0]}); name another folder")
        if not taken:
            check_run(path, checkpoint)  # says that it is no run, and which is near
            raise AssertionError("a folder without a configuration is no run")
    return FoundRuns(list(runs), left_out)
