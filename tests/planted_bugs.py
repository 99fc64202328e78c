"""Plants one bug per invariant in a copy of the tree and sees whether its tests notice.

    python tests/planted_bugs.py          all of them, in a few minutes
    python tests/planted_bugs.py 5 17     these

Prints a table; exits with 1 when fewer than 40 of 44 (or than all that were named) are caught.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # as a script it stands in tests/

from tests.bugs import BUGS, PACKAGE, Bug  # noqa: E402

COPIED = (PACKAGE, "conf", "tests", "pyproject.toml")
AT_LEAST = 40
N_WORKERS = 2


def is_caught(bug: Bug, copy: Path) -> bool:
    """Plant it in a copy of the tree, run its tests there, and take it out again."""
    path = copy / bug.path
    sound = path.read_text(encoding="utf-8")
    assert sound.count(bug.old) == 1, f"{bug.path} does not have {bug.old!r} exactly once"
    path.write_text(sound.replace(bug.old, bug.new), encoding="utf-8")
    try:
        chosen = ["-k", f"invariant_{bug.invariant:02}_", "-m", "slow or not slow"]
        call = [
            sys.executable,
            "-m",
            "pytest",
            "-qx",
            "-n0",
            "-p",
            "no:cacheprovider",
            *chosen,
        ]
        plain = {
            "PYTHONPATH": str(copy),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(
            [*call, "tests/invariants"],
            cwd=copy,
            env={**os.environ, **plain},
            capture_output=True,
        )
    finally:
        path.write_text(sound, encoding="utf-8")
    # 1 = tests failed; a bug that nothing can import (2), or that has no test (5), proves nothing.
    return done.returncode == 1


def try_all(bugs: Sequence[Bug]) -> list[bool]:
    """Whether each is caught; a copy of the tree per worker."""
    with tempfile.TemporaryDirectory() as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(min(N_WORKERS, len(bugs))):
            copy = Path(folder) / str(number)
            for name in COPIED:
                source, ignored = ROOT / name, shutil.ignore_patterns("__pycache__")
                if source.is_dir():
                    shutil.copytree(source, copy / name, ignore=ignored)
                else:
                    shutil.copy(source, copy / name)
            copies.put(copy)

        def attempt(bug: Bug) -> bool:
            copy = copies.get()
            try:
                caught = is_caught(bug, copy)
            finally:
                copies.put(copy)
            print(
                f"{bug.invariant:>2}  {'caught' if caught else 'MISSED'}  {bug.path}",
                flush=True,
            )
            return caught

        with ThreadPoolExecutor(N_WORKERS) as workers:
            return list(workers.map(attempt, bugs))


def main() -> int:
    """Try those that are named by number, or all."""
    named = set(map(int, sys.argv[1:]))
    bugs = [bug for bug in BUGS if not named or bug.invariant in named]
    n_caught = sum(try_all(bugs))
    print(f"{n_caught} of {len(bugs)} bugs caught")
    return 0 if n_caught >= min(AT_LEAST, len(bugs)) else 1


if __name__ == "__main__":
    sys.exit(main())
