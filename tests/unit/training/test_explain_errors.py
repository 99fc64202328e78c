from __future__ import annotations

import errno
import faulthandler
import os
import resource
import signal

import pytest
import torch

from lightning_transformer.data.sources.text import Text
from lightning_transformer.errors import TrainingError
from lightning_transformer.runs.result import read
from lightning_transformer.training.explain_errors import explain_errors, remedy
from tests.conftest import compose_config
from tests.helpers.short_runs import At, short, short_run, type_in

CPU = "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: x"
CUDA = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of ..."


@pytest.mark.parametrize("error", [RuntimeError(CPU), torch.OutOfMemoryError(CUDA), MemoryError()])
def test_out_of_memory_names_three_ways_out(error):
    line = remedy(error, compose_config("trainer.precision=32-true"))
    assert line.startswith("out of memory")
    assert ("20.00 GiB more were asked for" in line) == ("GiB" in str(error))
    for way in ("trainer.accumulate=2", "trainer.activation_checkpointing=true", "bf16-mixed"):
        assert way in line
    assert "seq_len" not in line


def test_only_ways_that_are_left_are_named():
    cfg = compose_config(
        "trainer.activation_checkpointing=true", "data.batch_size=1", "trainer.precision=bf16-mixed"
    )
    line = remedy(MemoryError(), cfg)
    assert line == "out of memory; data.seq_len=64 halves them, another model"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
            "data.num_workers=2: a worker is killed by signal: Killed, often for want of memory",
        ),
        (
            RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"),
            "a worker exited unexpectedly, often for want of memory; use data.num_workers=0",
        ),
        (RuntimeError("The server socket has failed (errno: 98 - EADDRINUSE)"), "MASTER_PORT="),
        (OSError(errno.EADDRINUSE, "Address already in use"), "MASTER_PORT="),
    ],
)
def test_other_failures_of_machines(error, words):
    assert words in remedy(error, compose_config("data.num_workers=2"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_process_that_is_ended_while_it_reads_leaves_a_line(tmp_path, monkeypatch):
    """As by an allocation in Rust, which aborts."""
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(Text, "prepare", lambda self: os.abort())
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        short_run(tmp_path / "run")
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGABRT
    left = read(tmp_path / "run")
    assert left.status == "running"
    assert left.error.startswith(f"reading and encoding data.path={tmp_path / 'text.txt'}; if")
    assert short_run(tmp_path / "other").error is None


def test_out_of_memory_while_reading_is_told_apart_from_that_of_training(tmp_path, monkeypatch):
    def full(self):
        raise MemoryError

    monkeypatch.setattr(Text, "read", full)
    (tmp_path / "f.txt").write_text("text " * 1000)
    with pytest.raises(TrainingError, match=r"^out of memory while data.path=.*f.txt was read"):
        short_run(tmp_path / "run", "data=text", f"data.path={tmp_path / 'f.txt'}")
    result = read(tmp_path / "run")
    assert result is not None
    assert result.status == "failed"
    assert "accumulate" not in str(result.error)


def test_what_is_not_known_here_stays_what_it_is():
    with pytest.raises(RuntimeError, match=r"^odd$") as caught, explain_errors(compose_config()):
        raise RuntimeError("odd")
    assert not isinstance(caught.value, TrainingError)


def test_a_run_without_memory_ends_with_one_line(tmp_path, monkeypatch, capsys):
    def full() -> None:
        raise torch.OutOfMemoryError(CUDA)

    At(monkeypatch, 3, full)
    assert type_in(monkeypatch, *short(tmp_path), f"hydra.run.dir={tmp_path / 'run'}") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: out of memory (20.00 GiB more were asked for); trainer.accum")
    result = read(tmp_path / "run")
    assert result.status == "failed"
    assert "trainer.accumulate=2" in result.error
