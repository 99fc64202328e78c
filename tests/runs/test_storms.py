"""A hundred kills and twenty stops, in a program that forks; see storms.py."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.helpers.short_runs import ROOT, environment


@pytest.mark.slow
@pytest.mark.parametrize(
    ("storm", "words"),
    [("kill", r"100 kills, \d+ inside a save"), ("stop", r"20 stops, \d+ steps")],
)
def test_nothing_is_lost(tmp_path, storm, words):
    call = [sys.executable, str(ROOT / "tests" / "runs" / "storms.py"), storm, str(tmp_path)]
    done = subprocess.run(call, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(words, done.stdout)


@pytest.mark.slow
def test_two_terminals_share_folders(tmp_path):
    call = [sys.executable, str(ROOT / "tests" / "runs" / "shared_folders.py"), str(tmp_path)]
    done = subprocess.run(call, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"23 commands, \d+ kills, \d+ finished runs", done.stdout)
