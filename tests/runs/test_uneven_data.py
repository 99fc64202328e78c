"""Comparisons on data of variable length, in which one variant fails, end in a report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.short_runs import ROOT, environment

BROKEN = """
from multiprocessing import parent_process

import torch

# In the process that checks all variants and times a few steps it works, and fails in a run.
LIMIT = 40 if parent_process() else 10**9

class Broken(torch.nn.LayerNorm):
    calls = 0

    def forward(self, x):
        Broken.calls += torch.is_grad_enabled()
        if Broken.calls > LIMIT:
            raise RuntimeError("the norm is broken")
        return super().forward(x)
"""
SIZE = (
    *("model.d_model=32", "attention.n_heads=2", "data.seq_len=48", "trainer.max_steps=30"),
    *("trainer.limit_val_batches=2", "trainer.limit_test_batches=2"),
)
KINDS = {
    "translation": (
        "model=encoder_decoder",
        "model.n_encoder_layers=1",
        "model.n_decoder_layers=1",
    ),
    "tagging": ("model=encoder_only", "task=tagging", "model.n_layers=1"),
    "causal tagging": ("model=decoder_only", "task=tagging", "model.n_layers=1"),
}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("translation", marks=pytest.mark.slow),
        pytest.param("tagging", marks=pytest.mark.thorough),
        pytest.param("causal tagging", marks=pytest.mark.thorough),
    ],
)
def test_a_variant_that_fails_is_reported_beside_the_others(kind: str, tmp_path: Path) -> None:
    (tmp_path / "broken_norm.py").write_text(BROKEN)
    (tmp_path / "mine" / "norm").mkdir(parents=True)
    option = "_target_: broken_norm.Broken\n_partial_: true\n"
    (tmp_path / "mine" / "norm" / "broken.yaml").write_text(option)
    typed = ["norm=layernorm,rmsnorm,broken", "seeds=2", "lr=fixed", "trainer.val_every=15"]
    call = [sys.executable, "-m", "lightning_transformer.compare", "run", "--config-dir=mine"]
    done = subprocess.run(
        [*call, *typed, *SIZE, *KINDS[kind], "logger=none", "callbacks=none", "name=uneven"],
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert "failed    norm=broken,seed=1: RuntimeError: the norm is broken" in done.stdout
    report = json.loads((tmp_path / "outputs/sweeps/uneven/report.json").read_text())
    rows = {row["short"]: row for row in report["variants"]}
    assert rows["rmsnorm"]["effect"]["n"] == 2
    assert rows["broken"]["states"]["failed"] == 2
    assert rows["broken"]["verdict"] == "no finished run"
    tokens = {run["seed"]: run["tokens"] for run in report["runs"] if run["state"] == "ok"}
    assert len(set(tokens.values())) == 2  # of other lengths under another seed
