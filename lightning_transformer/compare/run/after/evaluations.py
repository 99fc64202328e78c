"""eval=: what finished runs are measured for again, in a process of its own.

An evaluation is done when its file exists, so the same command goes on after any kill.
"""

import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lightning_transformer.errors import ConfigError
from lightning_transformer.evaluate.record import place_of
from lightning_transformer.evaluate.settings import Setting, settings
from lightning_transformer.runs.evaluations import read_evaluation
from lightning_transformer.runs.result import RESULT_FILE, read

PROGRAM = "lightning_transformer.evaluate"


def read_settings(text: str) -> tuple[Setting, ...]:
    """`data.seq_len=256; split=val` is two settings; commas make several of one.

    Raises ConfigError, in one line, for what an evaluation may not change.
    """
    found: list[Setting] = []
    for part in filter(str.strip, text.split(";")):
        try:
            found += settings(shlex.split(part))
        except ValueError as error:
            raise ConfigError(f"eval={text}: {error}") from None
    if not found:
        raise ConfigError(f"eval={text} is empty; write for example 'eval=data.seq_len=256,512'")
    if len(set(found)) < len(found):
        raise ConfigError(f"eval={text}: a setting is given twice; write it once")
    if Setting() in found:
        raise ConfigError(f"eval={text}: split=test alone is what each run has measured already")
    return tuple(found)


def missing(folder: Path, wanted: Sequence[Setting]) -> Iterator[tuple[Setting, list[Path]]]:
    """Each setting with the finished runs of a comparison that have not been measured so."""
    files = sorted(folder.glob(f"*/{RESULT_FILE}"))
    runs = [file.parent for file in files if read(file).status == "finished"]
    for setting in wanted:
        left = [run for run in runs if read_evaluation(place_of(run, setting)) is None]
        if left:
            yield setting, left


def evaluate_runs(folder: Path, wanted: Sequence[Setting], say: Callable[[str], None]) -> None:
    """Measure what is missing; a run that cannot be measured so is named, and no more."""
    for setting, runs in missing(folder, wanted):
        say(f"eval      {setting}: {len(runs)} runs")
        typed = [f"split={setting.split}", *setting.overrides]
        call = [sys.executable, "-m", PROGRAM, *map(str, runs), *typed]
        done = subprocess.run(call, stdout=subprocess.DEVNULL, check=False)
        if done.returncode < 0 or done.returncode > 2:
            raise RuntimeError(f"{PROGRAM} ended with {done.returncode}")
