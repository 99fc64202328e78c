"""`python -m benchmarks`: what it refuses, and that peers do the same work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peer_loop import make
from benchmarks.shapes import SHAPES, overrides, write_data
from lightning_transformer.build import build, build_model
from tests.conftest import compose_config
from tests.repository.test_imports import ROOT


def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["step", "--shapes", "d"], "--shapes=d is none of tiny, a, b, c"),
        (["step", "--against", "nobody"], "--against=nobody is none of bare, transformers"),
        (["step", "--against", "bare,nanogpt=x"], "--against=nanogpt=x has no model.py; name a cl"),
        (["memory", "--rounds", "0"], "--rounds and --steps are at least 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments: list[str], said: str) -> None:
    done = ask(*arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_peers_have_the_model_that_our_command_trains(tmp_path: Path) -> None:
    shape = SHAPES["tiny"]
    write_data(shape, tmp_path)
    cfg = compose_config(*overrides(shape, 2, tmp_path, tmp_path / "run", "fp32")[:-1])
    data = build(cfg, "data")
    data.prepare()
    assert data.vocabulary.size == shape.n_classes
    ours = build_model(cfg, vocabulary=data.vocabulary, labels=[], seed=1)
    sizes = [sum(p.numel() for p in make(name, shape).parameters()) for name in ("bare",)]
    assert sizes == [sum(p.numel() for p in ours.parameters())]


@pytest.mark.slow
def test_a_measurement_from_end_to_end(tmp_path: Path) -> None:
    file = tmp_path / "step.json"
    few = ["--shapes", "tiny", "--rounds", "1", "--steps", "2"]
    done = ask("memory", *few, "--json", str(file))
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())["rounds"]["tiny"]
    assert set(found) == {"ours", "bare"}
    assert found["ours"][0] > found["bare"][0] > 10  # MiB
