"""Runs that train a part of their weights: what is on the disk, going on, and the mean."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from lightning_transformer.api.train import train
from lightning_transformer.build import load_run
from lightning_transformer.checkpoint import store
from lightning_transformer.runs.result import read
from tests.helpers.short_runs import At, checkpoint, crash, short, type_in, weights
from tests.runs.test_fine_tuning import data_only

QUICK = ("optimizer=adamw", "trainer.limit_val_batches=1", "trainer.limit_test_batches=1")
TUNED = (*QUICK, "adapter=lora", "adapter.rank=1", "optimizer.lr=1e-2", "trainer.val_every=1")


def base(folder: Path, *own: str) -> tuple[Path, list[str]]:
    """A run of two steps, and what its data are."""
    typed = short(folder, *QUICK, *own, "data.batch_size=2", "trainer.max_steps=3")
    train(typed, folder / "base")
    return folder / "base", data_only(typed)


def test_five_checkpoints_take_less_than_a_tenth_more_than_the_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, typed = base(tmp_path, "model.d_model=256")
    monkeypatch.setattr(store, "prune", lambda folder: None)
    more = [*typed, f"init_from={run}", *TUNED, "trainer.max_steps=4"]
    result = train(more, tmp_path / "run")
    place = tmp_path / "run" / store.FOLDER
    found = store.listed(place)
    assert [one.step for one in found] == [4, 3, 2, 1, 0]
    assert len({one.frozen["sha256"] for one in found}) == 1
    n_bytes = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    assert result.n_params_frozen is not None
    assert n_bytes < 1.1 * 4 * result.n_params_frozen
    before, after = weights(run), weights(tmp_path / "run")
    assert all(torch.equal(after[name], value) for name, value in before.items())
    model = load_run(tmp_path / "run")
    assert set(model.state_dict()) == set(after)


@pytest.mark.slow
def test_a_broken_run_goes_on_to_the_bit_without_the_weights_of_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, typed = base(tmp_path)
    own = ("callbacks=ema", "callbacks.ema.decay=0.5", "trainer.max_steps=5")
    typed = [*typed, f"init_from={run}", *TUNED, *own]
    whole = train(typed, tmp_path / "whole")
    with monkeypatch.context() as patch:
        At(patch, 4, crash)
        with pytest.raises(RuntimeError):
            train(typed, tmp_path / "part")
    shutil.rmtree(run / store.FOLDER)  # its tokenizer is still read
    (run / "model.safetensors").unlink()
    monkeypatch.chdir(tmp_path)
    assert type_in(monkeypatch, f"resume={tmp_path / 'part'}") == 0
    wanted, found = checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "part")
    for key in ("state_dict", "current_model_state"):
        assert all(torch.equal(found[key][n], value) for n, value in wanted[key].items()), key
    mean, now = wanted["state_dict"], wanted["current_model_state"]
    moved = {name for name in mean if not torch.equal(mean[name], now[name])}
    assert moved == {name for name in mean if ".adapter." in name}
    moments = found["optimizer_states"][0]["state"].values()
    n_moments = sum(state["exp_avg"].numel() for state in moments)
    assert n_moments == read(tmp_path / "part").n_params_trained == whole.n_params_trained
