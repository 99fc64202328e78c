"""What torch.compile needs on a CPU is looked for where torch looks for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lightning_transformer.hardware import compiler
from lightning_transformer.hardware.compiler import missing_for_cpu


@pytest.fixture
def headers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with Python.h and a program named c17."""
    (tmp_path / "Python.h").touch()
    (tmp_path / "c17").touch(mode=0o755)
    monkeypatch.setattr(compiler.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_the_compiler_that_is_named(headers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "c17")
    assert missing_for_cpu() is None
    monkeypatch.setenv("CXX", "c18")
    assert missing_for_cpu() == (
        "a C++ compiler, which torch looks for as c18 (CXX names another one)"
    )


@pytest.mark.parametrize(
    ("system", "name"), [("linux", "g++"), ("darwin", "clang++"), ("win32", "cl")]
)
def test_without_one_it_is_that_of_torch(
    headers: Path, monkeypatch: pytest.MonkeyPatch, system: str, name: str
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(sys, "platform", system)
    found = missing_for_cpu()
    assert found is not None
    assert f" as {name} (" in found


def test_the_headers_of_python(headers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "c17")
    (headers / "Python.h").unlink()
    found = missing_for_cpu()
    assert found is not None
    assert found.startswith("the headers of Python (")


@pytest.mark.skipif(sys.platform != "linux", reason="torch has fixed it when it was loaded")
def test_torch_takes_the_same_name_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch._inductor.config as inductor

    cxx = inductor.cpp.cxx
    assert isinstance(cxx, tuple)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", cxx[-1])
    found = missing_for_cpu()
    assert found is not None
    assert f" as {cxx[-1]} (" in found
    assert cxx[-1] == "g++" or "CXX" in __import__("os").environ
