"""Options of training that users expect: which checkpoint is the best, clipping by value."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch.optim import SGD

from lightning_transformer.runs.result import read_history
from lightning_transformer.tasks.causal_lm import CausalLM
from lightning_transformer.tasks.metrics.baseline import Baseline
from tests.helpers.short_runs import At, checkpoint, history, interrupt, short_run


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss falls to the end; bits per byte are lowest at the second of three validations."""
    compute, said = CausalLM.compute, iter([(3.0, 5.0), (2.0, 1.0), (1.0, 4.0)])

    def values(task: Any, metrics: Any) -> dict[str, torch.Tensor]:
        loss, bits = next(said, (1.0, 4.0))  # then, of the test, as at the end
        told = {"loss": torch.tensor(loss), "bits_per_byte": torch.tensor(bits)}
        return compute(task, metrics) | told

    monkeypatch.setattr(CausalLM, "compute", values)
    monkeypatch.setattr(Baseline, "learn", lambda *given: None)  # which would compute as well


def best(folder: Path) -> int:
    return int(checkpoint(folder, "best")["global_step"])


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize(
    ("typed", "step"),
    [
        ((), 6),
        (("trainer.monitor=val/bits_per_byte",), 4),
        (("trainer.monitor=val/bits_per_byte", "trainer.monitor_mode=max"), 2),
    ],
)
def test_the_best_checkpoint_is_that_of_the_monitored_metric(
    tmp_path: Path, typed: tuple[str, ...], step: int
) -> None:
    result = short_run(tmp_path / "run", "trainer.val_every=2", *typed)
    assert best(tmp_path / "run") == step
    with safe_open(tmp_path / "run" / "model.safetensors", "pt") as file:
        assert file.metadata()["step"] == str(step)
        kept = file.get_tensor("embedding.weight")
    assert torch.equal(kept, checkpoint(tmp_path / "run", "best")["state_dict"]["embedding.weight"])
    # The end of a run that is resumed with another metric, and has nothing left to do.
    short_run(tmp_path / "run", "trainer.val_every=2", resume=True)
    assert best(tmp_path / "run") == 6
    assert result.status == "finished"


def test_clipping_by_value_bounds_each_number_of_each_gradient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest: list[float] = []
    step = SGD.step

    def noted(self: SGD, closure: Any = None) -> Any:
        out = step(self, closure)
        grads = [
            p.grad for group in self.param_groups for p in group["params"] if p.grad is not None
        ]
        largest.append(max(float(grad.abs().max()) for grad in grads))
        return out

    monkeypatch.setattr(SGD, "step", noted)
    limit = ("trainer.clip=null", "trainer.clip_value=1e-3")
    short_run(tmp_path / "run", "optimizer=sgd", *limit)
    assert largest == [pytest.approx(1e-3, rel=1e-6)] * 6
    # The logged norm is that of before.
    assert min(norm for _, norm in read_history(tmp_path / "run")["optim/grad_norm"]) > 0.05


def test_a_run_with_another_clipping_is_another_run(tmp_path: Path) -> None:
    for name, typed in (
        ("norm", ()),
        ("value", ("trainer.clip=null", "trainer.clip_value=1e-3")),
    ):
        short_run(tmp_path / name, "optimizer=sgd", *typed)
    one, other = (history(tmp_path / name) for name in ("norm", "value"))
    assert one[0]["train/loss"] == other[0]["train/loss"]
    assert one[-1]["train/loss"] != other[-1]["train/loss"]


def test_callbacks_may_be_left_out_of_a_resumed_run_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    with monkeypatch.context() as patch:
        At(patch, 4, interrupt)
        short_run(tmp_path / "run", "callbacks=early_stopping")
    shutil.copytree(tmp_path / "run", tmp_path / "again")
    short_run(tmp_path / "again", resume=True)
    assert not [warning for warning in recwarn if "ckpt_path" in str(warning.message)]
