"""eval=: what it takes, and which runs are left to measure."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.compare.run.after import evaluations
from lightning_transformer.compare.run.command import read
from lightning_transformer.errors import ConfigError
from lightning_transformer.evaluate.record import place_of
from lightning_transformer.evaluate.settings import Setting
from lightning_transformer.runs.result import RunResult

LONGER = Setting("test", ("data.seq_len=256",))
TYPED = ("norm=rmsnorm,layernorm", "eval=data.seq_len=256;split=val data.seq_len=128,512")


def test_settings_are_separated_by_semicolons() -> None:
    request = read(TYPED)
    assert request.evaluations == (
        LONGER,
        Setting("val", ("data.seq_len=128",)),
        Setting("val", ("data.seq_len=512",)),
    )
    assert request.identity == read(TYPED[:1]).identity  # may be added to runs that are finished
    assert request.name == read(TYPED[:1]).name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("eval=", "eval= is empty"),
        ("eval=norm=dyt", "eval=norm=dyt: norm is fixed by the run"),
        ("eval=split=dev", "must be one of test, val, train"),
        ("eval=split=test", "has measured already"),
        ("eval=data.seq_len=8;data.seq_len=8", "given twice"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_runs(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read([TYPED[0], text])


def finished(folder: Path, name: str, status: str = "finished") -> Path:
    (folder / name).mkdir(parents=True)
    RunResult(status=status).write(folder / name)
    return folder / name


def test_only_what_has_no_file_yet_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = finished(tmp_path, "a"), finished(tmp_path, "b")
    finished(tmp_path, "c", "failed")
    calls: list[list[str]] = []

    def measure(call: list[str], **options: Any) -> Any:
        calls.append(call[3:])
        for run in call[3:-2]:
            place = place_of(Path(run), LONGER)
            place.parent.mkdir()
            row = {
                "schema": 1,
                "split": "test",
                "overrides": [],
                "metrics": {},
                "checkpoint": "best",
            }
            place.write_text(json.dumps(row), encoding="utf-8")
        return subprocess.CompletedProcess(call, 1)  # one could not be measured: no matter

    monkeypatch.setattr(evaluations.subprocess, "run", measure)
    said: list[str] = []
    evaluations.evaluate_runs(tmp_path, [LONGER], said.append)
    assert calls == [[str(one), str(two), "split=test", "data.seq_len=256"]]
    assert said == ["eval      split=test data.seq_len=256: 2 runs"]
    evaluations.evaluate_runs(tmp_path, [LONGER], said.append)
    assert len(calls) == 1


def test_a_measurement_that_was_killed_ends_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(tmp_path, "a")
    done = subprocess.CompletedProcess([], -9)
    monkeypatch.setattr(evaluations.subprocess, "run", lambda call, **options: done)
    with pytest.raises(RuntimeError, match="ended with -9"):
        evaluations.evaluate_runs(tmp_path, [LONGER], lambda line: None)
