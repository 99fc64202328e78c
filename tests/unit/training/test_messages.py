"""What a run says to type next."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_transformer.runs.result import RunResult
from lightning_transformer.training.messages import next_commands
from lightning_transformer.training.request import RunRequest


def said(folder: Path, status: str = "finished") -> list[str]:
    lines: list[str] = []
    next_commands(RunResult(status=status, steps=7), RunRequest(folder), [], lines.append)
    return lines


def test_it_names_the_run_and_twice_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "outputs/runs/one"
    run.mkdir(parents=True)
    use, go_on = said(run)
    assert use.split() == [
        "use",
        "python",
        "-m",
        "lightning_transformer.generate",
        "outputs/runs/one",
    ]
    assert go_on.endswith("resume=outputs/runs/one trainer.max_steps=14")
    assert said(run, "stopped")[-1].endswith("resume=outputs/runs/one")


def test_it_names_tensorboard_where_there_is_something_to_look_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "outputs/runs/one"
    run.mkdir(parents=True)
    assert not any("tensorboard" in line for line in said(run))
    (run / "events.out.tfevents.1.host").touch()
    assert said(run)[0] == "view      tensorboard --logdir outputs"
