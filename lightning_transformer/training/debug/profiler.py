"""Where the time of a run goes: Lightning's profilers, with their reports in the run folder."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from lightning.pytorch.profilers import (
    AdvancedProfiler,
    PassThroughProfiler,
    Profiler,
    PyTorchProfiler,
    SimpleProfiler,
)

PROFILERS: dict[str, type[Profiler]] = {
    "simple": SimpleProfiler,  # seconds of each hook and each part of a step
    "advanced": AdvancedProfiler,  # of each Python function
    "pytorch": PyTorchProfiler,  # of each operation of torch, on the processor and on a GPU
}
PROFILES = "*-profile*.txt"  # of training (fit-profile.txt), and of the test
N_SHOWN = 16  # lines on the console


class NoProfiler(PassThroughProfiler):
    """Lightning's, which enters a generator at each of a hundred places in a step: 0.1 ms."""

    _nothing = nullcontext()

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]
        return self._nothing


def make_profiler(name: str | None, folder: Path) -> Profiler:
    """The profiler of a name; None = none. Its reports go into the folder."""
    return NoProfiler() if name is None else PROFILERS[name](dirpath=folder, filename="profile")


def profile_lines(folder: Path) -> Iterator[str]:
    """The first lines of the report on training, and where all of it is; nothing without one."""
    for file in sorted(folder.glob(f"fit{PROFILES.removeprefix('*')}"))[:1]:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        full = [re.sub(r"\s{2,}|\t", "  ", line).strip() for line in lines if line.strip(" -")]
        yield from full[:N_SHOWN]
        yield f"profile   {file}"
