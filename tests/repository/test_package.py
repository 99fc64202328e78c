"""The wheel: built from the sdist without a network, complete, and at work from another folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

import lightning_transformer

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str, cwd: Path, pythonpath: Path | None = None) -> str:
    """Run `python <command>` and return what it prints; fail with all of its output otherwise."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    env.pop("PYTHONPATH", None)
    if pythonpath is not None:
        env["PYTHONPATH"] = str(pythonpath)
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def files(folder: str) -> set[str]:
    """The files below a folder of the repository, without caches and one's own in conf/local/."""
    paths = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    names = {path.relative_to(ROOT).as_posix() for path in paths}
    return {name for name in names if not re.search(r"/__pycache__/|/\.|^conf/local/", name)}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    run("-m", "hatchling", "build", "-t", "sdist", "-d", str(folder), cwd=ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip would build from the source distribution."""
    folder = tmp_path_factory.mktemp("wheel")
    run("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=sdist)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel installs."""
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    return folder


def test_sdist_carries_what_a_packager_needs(sdist: Path) -> None:
    assert {"README.md", "LICENSE", "CHANGELOG.md"} <= {path.name for path in sdist.iterdir()}
    assert (sdist / "tests" / "repository" / Path(__file__).name).is_file()
    assert (sdist / "examples" / "plugin_norm" / "pyproject.toml").is_file()


def test_wheel_holds_the_package_and_every_configuration_file(wheel: Path) -> None:
    wanted = files("lightning_transformer")
    wanted |= {f"lightning_transformer/{name}" for name in files("conf")}
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert "lightning_transformer/conf/config.yaml" in held
    assert wanted - held == set()
    assert held - wanted == set()  # no tests, no outputs, no caches


def test_metadata(unpacked: Path) -> None:
    (info,) = unpacked.glob("*.dist-info")
    metadata = HeaderParser().parsestr((info / "METADATA").read_text(encoding="utf-8"))
    assert metadata["Name"] == "lightning-transformer"
    assert metadata["Version"] == lightning_transformer.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    scripts = (info / "entry_points.txt").read_text(encoding="utf-8").splitlines()
    assert "lightning-transformer = lightning_transformer.cli.main:main" in scripts


def test_help_lists_every_group_of_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    text = run("-m", "lightning_transformer", "--help", cwd=tmp_path, pythonpath=unpacked)
    groups = {name.split("/")[1] for name in files("conf") if name.count("/") == 2}
    shown = set(re.findall(r"^ +(\w+):? +\w", text, re.MULTILINE))
    assert groups - shown == set()


@pytest.mark.slow
def test_wheel_trains_from_another_folder(unpacked: Path, tmp_path: Path) -> None:
    command = ["-m", "lightning_transformer", "debug=fast", f"hydra.run.dir={tmp_path / 'run'}"]
    run(*command, cwd=tmp_path, pythonpath=unpacked)
    result = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    assert (result["status"], result["error"]) == ("finished", None)
    # Whatever the run writes lies in its own folder.
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
