"""Shared by the tests of runs: whole runs of a tiny decoder that take less than a second."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.checkpoint import store
from lightning_transformer.checkpoint.run_files import RunFiles
from lightning_transformer.cli.main import main
from lightning_transformer.errors import Stopped
from lightning_transformer.models.base import Transformer
from lightning_transformer.runs.result import RunResult, read
from lightning_transformer.training.request import RunRequest
from lightning_transformer.training.run import run
from tests.conftest import compose_config

ROOT = Path(__file__).resolve().parents[2]
WORDS = "the cat sat on a mat while some dog was near our old house and it did not see any bird"
SHORT = (
    "data=text",
    "data.seq_len=16",
    "data.batch_size=8",
    "model.d_model=32",
    "model.n_layers=1",
    "trainer=cpu",
    "trainer.max_steps=6",
    "trainer.val_every=3",
    "trainer.log_every=1",
    "schedule.warmup_steps=2",
    "logger=none",
    "callbacks=none",
)
DROPOUT = ("attention.dropout=0.1", "residual.dropout=0.1", "model.dropout=0.1")


def sentences(n: int, seed: int) -> list[str]:
    """Sentences of 2 to 12 words in no order that means anything."""
    draw = random.Random(seed)
    words = WORDS.split()
    return [" ".join(draw.choices(words, k=draw.randint(2, 12))).capitalize() for _ in range(n)]


def text_file(folder: Path) -> Path:
    """A file of about 12 kB."""
    path = folder / "text.txt"
    if not path.exists():
        path.write_text(".\n".join(sentences(400, seed=0)), encoding="utf-8")
    return path


def short(folder: Path, *overrides: str) -> list[str]:
    """What to type for a run of six steps on a text file in this folder."""
    return [*SHORT, f"data.path={text_file(folder)}", *overrides]


def short_pairs(folder: Path, *overrides: str) -> list[str]:
    """The same with an encoder and a decoder, on pairs of lines of very different length."""
    for name, seed in (("source", 1), ("target", 2)):
        (folder / name).write_text("\n".join(sentences(100, seed)) + "\n", encoding="utf-8")
    kept = [o for o in SHORT if not o.startswith(("data=", "data.seq_len", "model.n_layers"))]
    layers = ["model=encoder_decoder", "model.n_encoder_layers=1", "model.n_decoder_layers=1"]
    files = [
        "data=parallel",
        f"data.source={folder / 'source'}",
        f"data.target={folder / 'target'}",
    ]
    return [*kept, *layers, *files, "data.seq_len=64", "task.n_generated=0", *overrides]


def start(folder: Path, typed: Sequence[str], **job: Any) -> RunResult:
    """Run what is typed in this process, without the command line; also what a signal ends."""
    try:
        return run(compose_config(*typed), RunRequest(folder, overrides=list(typed), **job))
    except Stopped:
        return read(folder)


def short_run(folder: Path, *overrides: str, **job: Any) -> RunResult:
    """The run of `short`, with its text beside the folder."""
    return start(folder, short(folder.parent, *overrides), **job)


def type_in(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command line in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["lightning_transformer", *arguments])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *typed: str
) -> str:
    """Type it; return the one line on standard error of a run that is refused."""
    assert type_in(monkeypatch, *typed) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m lightning_transformer` in a process of its own."""
    call = [sys.executable, "-m", "lightning_transformer", *arguments]
    return subprocess.run(call, cwd=cwd, env=environment(), capture_output=True, text=True)


def environment() -> dict[str, str]:
    """An environment in which this checkout is importable and one thread computes."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def checkpoint(folder: Path, name: str = "last") -> dict[str, Any]:
    """A checkpoint, read without unpickling."""
    return RunFiles(folder).load_checkpoint(name)


def leave_checkpoint(folder: Path, state: Any, *, step: int = 1, validated: bool = True) -> Path:
    """Put a checkpoint into a run folder as training does; return the file with its state."""
    place = folder / store.FOLDER
    temporary = store.begin(place, step)
    torch.save(state, temporary / store.STATE)
    metrics = {"val/loss": 1.0} if validated else {}
    return store.commit(temporary, step, metrics=metrics, facts={}).state


def weights(folder: Path, name: str = "last") -> dict[str, Tensor]:
    """The weights of a checkpoint."""
    return checkpoint(folder, name)["state_dict"]


def difference(one: Path, other: Path, name: str = "last") -> float:
    """The largest difference between the weights of two runs."""
    a, b = weights(one, name), weights(other, name)
    assert list(a) == list(b)
    return max(float((a[key].double() - b[key].double()).abs().max()) for key in a)


def history(folder: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv without what depends on the clock."""
    with (folder / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in CLOCK} for row in rows]


CLOCK = ("seconds", "perf/tokens_per_s")


class At:
    """Calls `what` as the n-th micro-batch of a training begins (n from 1)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, n: int, what: Any) -> None:
        step = Transformer.training_step
        self.count = 0

        def training_step(model: Transformer, batch: Any, batch_idx: int) -> Tensor:
            self.count += 1
            if self.count == n:
                what()
            return step(model, batch, batch_idx)

        monkeypatch.setattr(Transformer, "training_step", training_step)


def interrupt() -> None:
    """What Ctrl-C does."""
    signal.raise_signal(signal.SIGINT)


def crash() -> None:
    raise RuntimeError("the machine broke")
