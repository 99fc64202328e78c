"""Programs of Debian packages that slow tests start, installed where a machine lacks them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

LOCK = Path(tempfile.gettempdir()) / "lightning_transformer_tests_apt.lock"
# A server that does not answer is asked again; another apt is waited for.
OPTIONS = ("-qq", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300")
ATTEMPTS = 3


def install(programs: Mapping[str, str]) -> None:
    """Install the packages of the programs that are missing, as a superuser; start none of it.

    programs: name to package, or packages with a space between. Processes that test side by side
    wait for each other.
    """
    with FileLock(LOCK):
        missing = {name: text for name, text in programs.items() if not shutil.which(name)}
        packages = sorted({package for text in missing.values() for package in text.split()})
        for attempt in range(ATTEMPTS if missing else 0):
            if not (said := _apt(["update"]) or _apt(["install", "-y", *packages])):
                break
            assert attempt < ATTEMPTS - 1, f"{', '.join(missing)}: {said}"
            time.sleep(10)
    absent = [name for name in missing if not shutil.which(name)]
    assert not absent, f"{', '.join(absent)} missing, although {', '.join(packages)} is installed"


def _apt(words: list[str]) -> str:
    """What is said where it fails."""
    command = ["apt-get", *OPTIONS, "--no-install-recommends", *words]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    return f"{' '.join(command)}: {done.stdout}{done.stderr}" if done.returncode else ""
