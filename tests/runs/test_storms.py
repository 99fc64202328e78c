"""Many kills and stops, in a program that forks; see storms.py."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.helpers.short_runs import ROOT, environment


@pytest.mark.parametrize(
    ("storm", "n", "words"),
    [
        pytest.param("kill", 10, r"10 kills, \d+ inside a save", marks=pytest.mark.slow),
        pytest.param("kill", 100, r"100 kills, \d+ inside a save", marks=pytest.mark.thorough),
        pytest.param("stop", 4, r"4 stops, \d+ steps", marks=pytest.mark.slow),
        pytest.param("stop", 20, r"20 stops, \d+ steps", marks=pytest.mark.thorough),
    ],
)
def test_nothing_is_lost(tmp_path, storm, n, words):
    program = str(ROOT / "tests" / "runs" / "storms.py")
    call = [sys.executable, program, storm, str(n), str(tmp_path)]
    done = subprocess.run(call, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(words, done.stdout)


@pytest.mark.slow
def test_two_terminals_share_folders(tmp_path):
    call = [sys.executable, str(ROOT / "tests" / "runs" / "shared_folders.py"), str(tmp_path)]
    done = subprocess.run(call, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"23 commands, \d+ kills, \d+ finished runs", done.stdout)
