"""The placebo: other initial weights, and nothing else."""

from __future__ import annotations

import pytest
import torch

from lightning_transformer.models.base import Transformer
from tests.helpers.short_runs import DROPOUT, difference, refused, short, short_run


@pytest.fixture
def draws(monkeypatch):
    """What the random numbers of each step were seeded with."""
    found = []
    start = Transformer.on_train_batch_start

    def on_train_batch_start(model, batch, batch_idx):
        start(model, batch, batch_idx)
        found.append(torch.initial_seed())

    monkeypatch.setattr(Transformer, "on_train_batch_start", on_train_batch_start)
    return found


def test_only_the_initial_weights_are_others(tmp_path, draws):
    runs = {}
    for name, typed in (("base", ()), ("same", ("init_seed=1",)), ("other", ("init_seed=7",))):
        draws.clear()
        result = short_run(tmp_path / name, "seed=1", *DROPOUT, *typed)
        runs[name] = result.samples_sha256, tuple(draws)
    assert runs["same"] == runs["base"] == runs["other"]  # data and dropout
    assert difference(tmp_path / "base", tmp_path / "same") == 0.0
    assert difference(tmp_path / "base", tmp_path / "other") > 0.01


def test_it_must_be_a_seed(tmp_path, monkeypatch, capsys):
    message = refused(monkeypatch, capsys, *short(tmp_path, "init_seed=-1"))
    assert message == "init_seed=-1 must be a whole number from 0 to 2**63, such as 1"
