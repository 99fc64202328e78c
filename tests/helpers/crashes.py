"""Kills a program between any two of its changes to the disk, by patching what makes them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Every call by which a save changes the disk; Path.mkdir and shutil.rmtree end in these as well.
CHANGES = ("mkdir", "fsync", "rename", "replace", "unlink", "rmdir")


class Crash(BaseException):
    """The end of the process, as far as the protocol can tell."""


class DiskCalls:
    """Counts the calls that change the disk; the one of number `last` and all later ones raise.

    A killed process does no cleaning up, so whatever its `except` blocks would do raises too.
    """

    def __init__(self, patch: pytest.MonkeyPatch, last: float = float("inf")) -> None:
        self.last = last
        self.names: list[str] = []
        for name in CHANGES:
            patch.setattr(os, name, self._counted(name, getattr(os, name)))
        patch.setattr(Path, "write_bytes", self._counted("write", Path.write_bytes))

    def _counted(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if len(self.names) >= self.last:
                raise Crash
            self.names.append(name)
            return original(*args, **kwargs)

        return call


def crash_after(
    patch: pytest.MonkeyPatch, function: str, target: str, *, times: int, crash: Callable[[], None]
) -> None:
    """Call `crash` once os.rename or os.replace has given a file or folder this name so often."""
    original, seen = getattr(os, function), []

    def call(source: Any, destination: Any) -> None:
        original(source, destination)
        if Path(destination).name == target:
            seen.append(target)
            if len(seen) == times:
                crash()

    patch.setattr(os, function, call)
