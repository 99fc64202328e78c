"""The folder of a run, taken so that no two processes and no two configurations share one."""

from collections.abc import Callable
from pathlib import Path

from lightning_transformer.runs.lock import InUse, RunLock
from lightning_transformer.runs.naming import is_free, numbered
from lightning_transformer.runs.result import RESULT_FILE


def claim(folder: Path, config_sha256: str) -> RunLock:
    """Take this very folder. Raises InUse where a process holds it."""
    lock = RunLock(folder, config_sha256)
    lock.acquire()
    return lock


def claim_new(folder: Path, config_sha256: str) -> RunLock:
    """Take the folder, or `folder~2`, `folder~3` .. if a run is in it: commands of one second."""
    return _first(folder, config_sha256, lambda place: not (place / RESULT_FILE).exists())


def claim_job(folder: Path, config_sha256: str) -> RunLock:
    """Take the folder, or the first of `folder~2` .. that holds no run of another configuration.

    Raises InUse where another process is at this very configuration.
    """
    return _first(
        folder, config_sha256, lambda place: is_free(place, config_sha256), wait_for_same=True
    )


def _first(
    folder: Path, config_sha256: str, fits: Callable[[Path], bool], *, wait_for_same: bool = False
) -> RunLock:
    for place in numbered(folder):
        try:
            lock = claim(place, config_sha256)
        except InUse as busy:
            owner = busy.owner
            if wait_for_same and owner is not None and owner.config_sha256 == config_sha256:
                raise
            continue
        if fits(place):
            return lock
        lock.release()
    raise AssertionError("numbers do not end")
