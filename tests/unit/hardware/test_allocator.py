"""Freed memory is kept: counted in page faults, in a process of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from lightning_transformer.cli import job
from lightning_transformer.errors import ConfigError
from lightning_transformer.hardware import allocator
from lightning_transformer.hardware.allocator import VARIABLE, keep_freed_memory

SIZE = 2**27
FAULTS = f"""
import resource
from lightning_transformer.hardware.allocator import keep_freed_memory
kept = keep_freed_memory()
bytearray({SIZE})
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray({SIZE})
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about glibc")


def faults(**variables: str) -> tuple[str, int]:
    """What `keep_freed_memory` returns, and the page faults of a block that was there before."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", VARIABLE))}
    call = [sys.executable, "-c", FAULTS]
    done = subprocess.run(
        call, env={**clean, **variables}, capture_output=True, text=True, check=True
    )
    kept, n = done.stdout.split()
    return kept, int(n)


@glibc
def test_a_block_is_used_again_without_asking_the_system() -> None:
    kept, n = faults()
    assert kept == "True"
    assert n < SIZE / 4096 / 10


@glibc
@pytest.mark.parametrize("variables", [{VARIABLE: "0"}, {"MALLOC_TOP_PAD_": "131072"}])
def test_it_can_be_turned_off_and_leaves_the_users_own_settings(variables: dict[str, str]) -> None:
    kept, n = faults(**variables)
    assert kept == "False"
    assert n > 1000  # by 2 MB pages it may be fewer than SIZE / 4096


def test_another_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "no")
    with pytest.raises(ConfigError, match=rf"^{VARIABLE}=no must be 0 or 1; use {VARIABLE}=0 to"):
        keep_freed_memory()


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    monkeypatch.setattr(allocator.sys, "platform", system)
    monkeypatch.setattr(allocator.ctypes, "CDLL", None)
    assert not keep_freed_memory()


def test_a_library_without_mallopt_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.sys, "platform", "linux")
    monkeypatch.delenv(VARIABLE, raising=False)
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory()


def test_training_begins_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reached(Exception):
        pass

    def reached() -> bool:
        raise Reached

    monkeypatch.setattr(job, "keep_freed_memory", reached)
    with pytest.raises(Reached):
        job._train(None, None, resume=False)  # type: ignore[arg-type]
