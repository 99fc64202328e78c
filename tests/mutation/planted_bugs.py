"""Plants bugs in a copy of the tree, one at a time, and sees whether its tests notice.

    python tests/mutation/planted_bugs.py              one for each invariant, in a few minutes
    python tests/mutation/planted_bugs.py 5 17         these
    python tests/mutation/planted_bugs.py catalogue    in parts of the catalogue
    python tests/mutation/planted_bugs.py catalogue optim/lion chunks

Prints a table; exits with 1 when fewer than nine of ten are caught.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # as a script it stands in tests/

from tests.mutation.bugs import BUGS, PACKAGE, Bug  # noqa: E402
from tests.mutation.catalogue_bugs import PART_BUGS, PartBug  # noqa: E402

AnyBug = Bug | PartBug

COPIED = (PACKAGE, "conf", "tests", "pyproject.toml")
AT_LEAST = 0.9
N_WORKERS = 2


def is_caught(bug: AnyBug, copy: Path) -> bool:
    """Plant it in a copy of the tree, run its tests there, and take it out again."""
    path = copy / bug.path
    sound = path.read_text(encoding="utf-8")
    assert sound.count(bug.old) == 1, f"{bug.path} does not have {bug.old!r} exactly once"
    path.write_text(sound.replace(bug.old, bug.new), encoding="utf-8")
    try:
        call = [sys.executable, "-m", "pytest", "-qx", "-n0", "-p", "no:cacheprovider"]
        plain = {
            "PYTHONPATH": str(copy),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(
            [*call, *bug.arguments],
            cwd=copy,
            env={**os.environ, **plain},
            capture_output=True,
        )
    finally:
        path.write_text(sound, encoding="utf-8")
    # 1 = tests failed; a bug that nothing can import (2), or that has no test (5), proves nothing.
    return done.returncode == 1


def try_all(bugs: Sequence[AnyBug]) -> list[bool]:
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

        def attempt(bug: AnyBug) -> bool:
            copy = copies.get()
            try:
                caught = is_caught(bug, copy)
            finally:
                copies.put(copy)
            print(f"{'caught' if caught else 'MISSED'}  {bug.path}  {bug.label}", flush=True)
            return caught

        with ThreadPoolExecutor(N_WORKERS) as workers:
            return list(workers.map(attempt, bugs))


def main() -> int:
    """Try those of the invariants, all or by number, or those of the catalogue."""
    words = sys.argv[1:]
    bugs: Sequence[AnyBug]
    if words[:1] == ["catalogue"]:
        bugs = [b for b in PART_BUGS if not words[1:] or any(word in b.path for word in words[1:])]
    else:
        bugs = [bug for bug in BUGS if not words or str(bug.invariant) in words]
    n_caught = sum(try_all(bugs))
    print(f"{n_caught} of {len(bugs)} bugs caught")
    return 0 if n_caught >= math.ceil(AT_LEAST * len(bugs)) else 1


if __name__ == "__main__":
    sys.exit(main())
