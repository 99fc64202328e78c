"""A variant is three files: six are added to a copy of the repository, and nothing else by hand.

Takes some minutes. To add the variants to a folder of one's own, for the whole suite there:

    python -m tests.repository.test_six_variants FOLDER
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.contracts.conformance.design import GROUPS

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = Path(__file__).with_name("six_variants")
NEW = sorted((path.parent.name, path.stem) for path in VARIANTS.rglob("*.yaml"))
# What `make docs` writes: the table, the cards, and the lists of what is refused.
DERIVED = (
    "README.md",
    "docs/cards/",
    "lightning_transformer/cards/refusals.json",
    "tests/contracts/conformance/refused.json",
)
# The tests that find their options on disk, and those of the new ones.
SUITE = ("contracts", "repository", "unit/cards", "unit/config", "unit/models", "unit/new")
# Its rows are laid anew for all options together.
ROWS = "tests/contracts/conformance/test_decoder_only.py::test_keeps_what_a_transformer_promises["
CACHE_NOTHING = ("-p", "no:cacheprovider")
LIMIT_S = 45 * 60


def run(folder: Path, *command: str) -> str:
    """What a command prints in a checkout; fails with what it says."""
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def environment(folder: Path) -> dict[str, str]:
    """One in which the package of a checkout is imported; pytest and git are those of no other."""
    others = ("PYTEST_", "GIT_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(others)}
    return {**kept, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PYTHON": sys.executable}


def copied(folder: Path) -> None:
    """Put the files that git tracks or would track into a repository of their own."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", "--all")
    author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    run(folder, "git", *author, "commit", "--quiet", "--message", "Copy")


def add_variants(folder: Path) -> set[str]:
    """Write the three skeletons of each variant and put its content into them; their names."""
    written: set[str] = set()
    for group, name in NEW:
        shown = run(
            folder, sys.executable, "-m", "lightning_transformer.new", group, name, "--write"
        )
        module, config, test = shown.splitlines()[:3]
        contents = {module: f"{name}.py", config: f"{name}.yaml", test: f"{name}.test.py"}
        for path, content in contents.items():
            assert (folder / path).is_file()
            shutil.copy(VARIANTS / group / content, folder / path)
        written |= set(contents)
    return written


def changed(folder: Path) -> set[str]:
    """The files that git finds changed or new."""
    lines = run(folder, "git", "status", "--porcelain", "--untracked-files=all").splitlines()
    return {line[3:] for line in lines}


def collected(folder: Path, places: list[str]) -> list[str]:
    """The default tests of these places in a checkout."""
    command = (sys.executable, "-m", "pytest", "-q", "--collect-only", "-n0", *CACHE_NOTHING)
    return [line for line in run(folder, *command, *places).splitlines() if "::" in line]


def affected(folder: Path) -> list[str]:
    """The tests of SUITE that six variants add, and those that look at all variants at once.

    The cases of the options that were there before have just been run, in the suite itself. New
    rows of the conformance suite without a new option hold pairs that its rows there hold too.
    """
    places = [f"tests/{place}" for place in SUITE]
    before = set(collected(ROOT, places))
    new = [path for path in sorted(changed(folder)) if path.startswith("tests/unit/")]
    found = collected(folder, [*places, *new])
    chosen = [name for name in found if name not in before or "[" not in name]
    chosen = [name for name in chosen if not name.startswith(ROWS) or names_a_new_option(name)]
    assert len(chosen) < len(found)
    met = set().union(*(options_of(name) for name in chosen if name.startswith(ROWS)))
    assert {option for group, option in NEW if group in GROUPS} <= met
    return chosen


def names_a_new_option(row: str) -> bool:
    return bool(options_of(row) & {option for _, option in NEW})


def options_of(row: str) -> set[str]:
    """The options in the name of a row of the conformance suite."""
    return set(row.partition("[")[2].rstrip("]").split("-"))


def run_suite(folder: Path, screen: pytest.CaptureFixture[str] | None = None) -> None:
    """Run what is affected in a checkout, with the last line shown every minute."""
    names = folder.with_name("tests.txt")
    names.write_text("\n".join(affected(folder)), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", *CACHE_NOTHING, f"@{names}"]
    log = folder.with_name("suite.log")
    began = shown = time.monotonic()
    with log.open("w", encoding="utf-8") as out:
        suite = subprocess.Popen(
            command, cwd=folder, env=environment(folder), stdout=out, stderr=subprocess.STDOUT
        )
        while suite.poll() is None and time.monotonic() - began < LIMIT_S:
            time.sleep(1)
            if time.monotonic() - shown >= 60 and screen is not None:
                shown = time.monotonic()
                with screen.disabled():
                    minutes, last = (shown - began) / 60, log.read_text().splitlines()[-1:]
                    print(f"{minutes:.0f} min {' '.join(last)[-20:]}", file=sys.stderr, flush=True)
        if suite.poll() is None:
            suite.kill()
            pytest.fail(f"not at its end after {LIMIT_S} s:\n{log.read_text()[-4000:]}")
    assert suite.returncode == 0, log.read_text()[-12000:]


@pytest.mark.thorough
def test_six_variants_are_three_files_each(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("make") is None or shutil.which("git") is None:
        pytest.skip("make or git is not installed")
    folder = tmp_path / "copy"
    folder.mkdir()
    copied(folder)
    assert len(NEW) == 6
    written = add_variants(folder)
    assert len(written) == 18
    assert changed(folder) == written
    run(folder, "make", "docs")
    derived = changed(folder) - written
    assert "README.md" in derived
    assert [name for name in derived if not name.startswith(DERIVED)] == []
    run_suite(folder, capfd)
    assert changed(folder) == written | derived, "the tests leave files behind"


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir()
    copied(place)
    print("\n".join(sorted(add_variants(place))))
