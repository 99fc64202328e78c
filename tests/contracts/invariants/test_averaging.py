"""Invariant 42: the running mean of the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor

from lightning_transformer.errors import ConfigError
from lightning_transformer.models.base import Transformer
from lightning_transformer.runs.result import read
from lightning_transformer.training.callbacks.ema import EMA
from lightning_transformer.training.resume import check_same
from tests.contracts.invariants.setting import EXACT
from tests.helpers.short_runs import DROPOUT, At, checkpoint, crash, short_run, weights

EXACTLY = "trainer.precision=64-true"


def averaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str
) -> tuple[list[dict[str, Tensor]], list[list[Tensor]]]:
    """A run with a running mean; the weights after each step, and those that were validated."""
    after: list[dict[str, Tensor]] = []
    judged: list[list[Tensor]] = []

    def note(self: Any, trainer: L.Trainer, model: Any, *given: Any) -> None:
        end(self, trainer, model, *given)
        after.append({name: p.detach().clone() for name, p in model.named_parameters()})

    end = EMA.on_train_batch_end
    monkeypatch.setattr(EMA, "on_train_batch_end", note)
    begin = Transformer.on_validation_epoch_start

    def begun(model: Any) -> None:
        judged.append([p.detach().clone() for p in model.parameters()])
        begin(model)

    monkeypatch.setattr(Transformer, "on_validation_epoch_start", begun)
    short_run(
        tmp_path / "mean",
        "callbacks=ema",
        "callbacks.ema.decay=0.8",
        EXACTLY,
        *overrides,
    )
    return after, judged


def test_invariant_42_running_mean_of_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judged, kept and tested is the mean; training never sees it."""
    with monkeypatch.context() as patch:
        after, judged = averaged(tmp_path, patch)
    mean = after[0]
    for step in after[1:]:
        mean = {name: 0.8 * mean[name] + 0.2 * value for name, value in step.items()}
    assert len(after) == 6
    for value, wanted in zip(judged[-1], mean.values(), strict=True):
        torch.testing.assert_close(value, wanted, rtol=0, atol=EXACT)
    short_run(tmp_path / "plain", EXACTLY)
    kept, plain = checkpoint(tmp_path / "mean"), weights(tmp_path / "plain")
    for name, wanted in mean.items():
        torch.testing.assert_close(kept["state_dict"][name], wanted, rtol=0, atol=EXACT)
        assert torch.equal(kept["current_model_state"][name], plain[name])
        assert torch.equal(after[-1][name], plain[name])
    metrics, of_last = (read(tmp_path / name).metrics for name in ("mean", "plain"))
    for split in ("val", "test"):
        assert metrics[f"{split}/loss"] != pytest.approx(of_last[f"{split}/loss"], rel=1e-4)
    chosen = ("callbacks=ema", "callbacks.ema.decay=0.8", EXACTLY)
    other = short_run(tmp_path / "mean", *chosen, resume=True)
    assert other.metrics["test/loss"] == metrics["test/loss"]


def test_invariant_42_goes_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = ("callbacks=ema", "callbacks.ema.decay=0.8", *DROPOUT)
    short_run(tmp_path / "whole", *overrides)
    with monkeypatch.context() as patch:
        At(patch, 5, crash)
        with pytest.raises(RuntimeError, match="broke"):
            short_run(tmp_path / "cut", *overrides)
    short_run(tmp_path / "cut", *overrides, resume=True)
    whole, cut = checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "cut")
    for part in ("state_dict", "current_model_state"):
        assert all(torch.equal(cut[part][n], value) for n, value in whole[part].items())
    assert read(tmp_path / "cut").metrics == read(tmp_path / "whole").metrics


def test_invariant_42_a_run_keeps_its_mean_when_it_goes_on() -> None:
    """Without the callback, training would go on from the mean, which it has never seen."""
    mean = {"callbacks": {"ema": {"decay": 0.9}}}
    check_same(mean, {"callbacks": {"ema": {"decay": 0.99}}})
    for old, new in ((mean, {"callbacks": {}}), ({"callbacks": {}}, mean)):
        with pytest.raises(ConfigError, match=r"callbacks\.ema") as caught:
            check_same(old, new)
        assert "\n" not in str(caught.value)


def test_invariant_42_refuses_weights_in_which_the_mean_stands_still(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match=r"callbacks=ema needs weights of float32.*bf16-true"):
        short_run(tmp_path / "run", "callbacks=ema", "trainer.precision=bf16-true")
