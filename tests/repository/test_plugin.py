"""The example plug-in: installed as a user would, it adds `norm=pnorm` without any change here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "examples" / "plugin_norm"


def run(*command: str, pythonpath: list[Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `python <command>` with these folders in front of the installed packages."""
    path = os.pathsep.join(str(folder) for folder in pythonpath)
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command], env=env, cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The import path of an environment that has the plug-in: its own folder and this package."""
    site = tmp_path_factory.mktemp("site-packages")
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = run(*pip, "--target", str(site), str(PLUGIN), pythonpath=[], cwd=site)
    assert done.returncode == 0, done.stderr
    return [site, ROOT]


def test_help_lists_the_option(installed: list[Path], tmp_path: Path) -> None:
    done = run("-m", "lightning_transformer", "--help", pythonpath=installed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    offers = re.findall(r"^ +norm:? +(.*)$", done.stdout, re.MULTILINE)
    assert len(offers) == 1
    assert {"pnorm", "layernorm"} <= set(re.findall(r"\w+", offers[0]))


def test_option_is_unknown_without_the_package(tmp_path: Path) -> None:
    if entry_points(group="lightning_transformer.conf"):
        pytest.skip("a plug-in is installed in this environment")
    done = run("-m", "lightning_transformer", "norm=pnorm", pythonpath=[ROOT], cwd=tmp_path)
    assert done.returncode == 2
    assert "norm=pnorm" in done.stderr


def test_wrong_type_is_refused_in_one_line(installed: list[Path], tmp_path: Path) -> None:
    command = ["norm=pnorm", "norm.p=abc", "debug=fast", f"hydra.run.dir={tmp_path / 'run'}"]
    done = run("-m", "lightning_transformer", *command, pythonpath=installed, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "norm.p" in line
    assert "abc" in line
    assert "number" in line


@pytest.mark.slow
def test_training_with_the_option(installed: list[Path], tmp_path: Path) -> None:
    command = ["norm=pnorm", "norm.p=4.0", "debug=fast", f"hydra.run.dir={tmp_path / 'run'}"]
    done = run("-m", "lightning_transformer", *command, pythonpath=installed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    assert result["status"] == "finished"
    assert result["choices"]["norm"] == "pnorm"
    assert "norm.p=4.0" in result["overrides"]


@pytest.mark.slow
def test_own_tests_of_the_plugin_pass(installed: list[Path], tmp_path: Path) -> None:
    quiet = ["-q", "-p", "no:cacheprovider"]
    done = run("-m", "pytest", *quiet, str(PLUGIN), pythonpath=installed, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
