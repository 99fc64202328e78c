from __future__ import annotations

import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lightning_transformer.build import load_run
from lightning_transformer.checkpoint import safetensors
from lightning_transformer.checkpoint.safetensors import write_weights
from tests.helpers.short_runs import checkpoint, short_run


def test_a_finished_run_leaves_the_weights_of_its_best_checkpoint(tmp_path):
    short_run(tmp_path / "run")
    written = load_file(tmp_path / "run" / "model.safetensors")
    best = checkpoint(tmp_path / "run", "best")["state_dict"]
    assert set(written) == set(best)
    assert all(torch.equal(written[name], best[name]) for name in best)
    load_run(tmp_path / "run").load_state_dict(written)  # every name, every shape
    with safe_open(tmp_path / "run" / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "step": "6", "config": "config.yaml"}


def test_shared_tensors_and_views_are_written(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    write_weights(tmp_path, {"a": shared, "b": shared, "c": shared.T}, 1)
    written = load_file(tmp_path / "model.safetensors")
    assert torch.equal(written["a"], shared)
    assert torch.equal(written["b"], shared)
    assert torch.equal(written["c"], shared.T)


def test_a_write_that_breaks_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_weights(tmp_path, {"a": torch.zeros(2)}, 1)
    before = path.read_bytes()

    def broken(*args):
        args[1].write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors, "save_file", broken)
    with pytest.raises(OSError, match="No space left"):
        write_weights(tmp_path, {"a": torch.ones(2)}, 2)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.safetensors"]
