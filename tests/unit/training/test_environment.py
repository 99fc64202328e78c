from __future__ import annotations

import os
import platform
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from lightning_transformer.training import environment


def test_versions_are_those_that_are_installed():
    found = environment.versions()
    assert found["python"] == platform.python_version()
    assert found["torch"] == torch.__version__
    assert found["numpy"] == np.__version__
    assert {"lightning", "hydra-core"} <= set(found)


def test_a_package_that_is_not_there_is_left_out(monkeypatch):
    monkeypatch.setattr(environment, "PACKAGES", ("torch", "no-such-package"))
    assert set(environment.versions()) == {"python", "torch"}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of its own in which the package seems to lie."""
    file = tmp_path / "lightning_transformer/training/environment.py"
    file.parent.mkdir(parents=True)
    file.write_text("")
    monkeypatch.setattr(environment, "__file__", str(file))
    return tmp_path


def git(folder, *arguments):
    names = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *names, *arguments], check=True, capture_output=True)


def test_the_commit_says_whether_files_differ_from_it(checkout):
    assert environment.commit() is None
    git(checkout, "init")
    assert environment.commit() is None  # there is no commit yet
    git(checkout, "add", ".")
    git(checkout, "commit", "-m", "x")
    commit = environment.commit()
    assert re.fullmatch("[0-9a-f]{40}", commit)
    (checkout / "new").write_text("")
    assert environment.commit() == f"{commit}-dirty"


def test_asking_for_the_commit_does_not_lock_the_index(checkout):
    """A `git status` that is killed in the middle would leave index.lock behind."""
    git(checkout, "init")
    git(checkout, "add", ".")
    git(checkout, "commit", "-m", "x")
    os.utime(checkout / "lightning_transformer/training/environment.py", (1, 1))  # to be refreshed
    (checkout / ".git" / "index.lock").write_text("")
    assert environment.commit() is not None
    (checkout / ".git" / "index.lock").unlink()
    before = (checkout / ".git" / "index").read_bytes()
    environment.commit()
    assert (checkout / ".git" / "index").read_bytes() == before


def test_without_git_there_is_no_commit(checkout, monkeypatch):
    git(checkout, "init")

    def missing(*args, **kwargs):
        raise FileNotFoundError("git")

    monkeypatch.setattr(environment.subprocess, "run", missing)
    assert environment.commit() is None


def test_the_device_has_a_name(monkeypatch):
    for n, text in ((1, ", 1 thread"), (2, ", 2 threads")):
        monkeypatch.setattr(torch, "get_num_threads", lambda n=n: n)
        name = environment.device_name(torch.device("cpu"))
        assert name.endswith(text)
        assert len(name) > len(text)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"H{device.index}")
    assert environment.device_name(torch.device("cuda", 1)) == "H1"
    assert environment.device_name(torch.device("mps")) == "mps"


@pytest.mark.skipif(platform.system() != "Linux", reason="the peak is known on Linux only")
def test_the_peak_of_memory_is_that_since_the_reset():
    cpu = torch.device("cpu")
    environment.reset_peak_memory()
    before = environment.peak_memory(cpu)
    block = np.ones(25_000_000)  # 200 MB
    high = environment.peak_memory(cpu)
    assert high - before > 150e6
    del block
    assert environment.peak_memory(cpu) == pytest.approx(high, abs=10e6)  # Linux counts lazily
    environment.reset_peak_memory()
    assert environment.peak_memory(cpu) < high - 150e6


def test_the_peak_does_not_depend_on_what_ran_before_and_was_kept():
    """glibc keeps freed memory after the first run of a process; the next one starts without."""
    code = """
import numpy as np, torch
from lightning_transformer.hardware.allocator import keep_freed_memory
from lightning_transformer.training.environment import peak_memory, reset_peak_memory
keep_freed_memory()
reset_peak_memory()
before = peak_memory(torch.device("cpu"))
np.ones(25_000_000)
reset_peak_memory()
print(peak_memory(torch.device("cpu")) - before)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 50e6  # of 200 MB


def test_where_the_peak_is_not_known_nothing_is_said(monkeypatch):
    monkeypatch.setattr(environment, "Path", lambda path: machine_path / path.strip("/"))
    from pathlib import Path

    machine_path = Path("/nonexistent")
    environment.reset_peak_memory()
    assert environment.peak_memory(torch.device("cpu")) is None
