"""callbacks=early_stopping."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.result import read, read_history
from lightning_transformer.tasks.causal_lm import CausalLM
from lightning_transformer.tasks.metrics.baseline import Baseline
from lightning_transformer.training.callbacks.early_stopping import EarlyStopping
from tests.helpers.short_runs import At, checkpoint, interrupt, short_run

OFTEN = ("trainer.val_every=1", "callbacks=early_stopping", "trainer.max_steps=12")


@pytest.fixture
def validations(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give `validations(losses)`, which scripts the validation losses of what runs next."""
    compute = CausalLM.compute

    def script(*losses: float) -> None:
        left = iter(losses)

        def scripted(task: Any, metrics: Any) -> dict[str, torch.Tensor]:
            values = compute(task, metrics)
            return values | {"loss": torch.tensor(next(left, float(values["loss"])))}

        monkeypatch.setattr(CausalLM, "compute", scripted)
        monkeypatch.setattr(Baseline, "learn", lambda *given: None)  # which would compute as well

    return script


def test_it_ends_the_run_and_says_why(
    tmp_path: Path, validations: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    validations(3.0, 2.0, 2.5, 2.25, 2.125)
    result = short_run(tmp_path / "run", *OFTEN)
    reason = "val/loss has not improved on 2 for 3 validations"
    assert (result.status, result.steps, result.stopped_early) == ("finished", 5, reason)
    assert read(tmp_path / "run").stopped_early == reason
    assert checkpoint(tmp_path / "run", "best")["global_step"] == 2
    said = capsys.readouterr().out
    assert f"stopped early: {reason}\n" in said
    assert "finished at step 5" in said
    # It has steps left: going on needs no other number of them.
    (go_on,) = [line for line in said.splitlines() if line.startswith("go on ")]
    assert "max_steps" not in go_on


def test_small_improvements_are_none_with_min_delta(tmp_path: Path, validations: Any) -> None:
    validations(3.0, 2.9, 2.85, 2.0, 1.9, 1.8)
    options = ("callbacks.early_stopping.min_delta=0.25", "callbacks.early_stopping.patience=2")
    result = short_run(tmp_path / "run", *OFTEN, *options)
    assert result.steps == 3
    assert result.stopped_early == (
        "val/loss has not improved on 3 by more than 0.25 for 2 validations"
    )


def test_a_run_that_improves_does_all_its_steps(tmp_path: Path, validations: Any) -> None:
    validations(*(3.0 - i / 10 for i in range(12)))
    result = short_run(tmp_path / "run", *OFTEN)
    assert (result.steps, result.stopped_early) == (12, None)


def test_its_count_goes_on_in_a_resumed_run_and_its_patience_is_that_of_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, validations: Any
) -> None:
    validations(2.0, 3.0, 3.0)
    with monkeypatch.context() as patch:
        At(patch, 4, interrupt)
        stopped = short_run(tmp_path / "run", *OFTEN)
    assert (stopped.status, stopped.steps) == ("stopped", 4)
    # Two validations in a row are counted; with a patience of 5 it takes three more, not one.
    validations(*[3.0] * 9)
    more = "callbacks.early_stopping.patience=5"
    result = short_run(tmp_path / "run", *OFTEN, more, resume=True)
    assert result.steps == 6
    assert result.stopped_early == "val/loss has not improved on 2 for 5 validations"
    assert [step for step, _ in read_history(tmp_path / "run")["val/loss"]] == [1, 2, 3, 4, 5, 6]


def test_lightnings_own_has_the_options_of_today_in_a_resumed_run_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, validations: Any
) -> None:
    own = [
        "+callbacks.es._target_=lightning.pytorch.callbacks.EarlyStopping",
        "+callbacks.es.monitor=val/loss",
        "trainer.val_every=1",
        "trainer.max_steps=12",
    ]
    validations(2.0, 3.0, 3.0)
    with monkeypatch.context() as patch:
        At(patch, 4, interrupt)
        short_run(tmp_path / "run", *own, "+callbacks.es.patience=3")
    validations(*[3.0] * 9)
    result = short_run(tmp_path / "run", *own, "+callbacks.es.patience=5", resume=True)
    assert result.steps == 6
    assert "did not improve in the last 5 records" in str(result.stopped_early)


def test_where_nothing_is_validated_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^callbacks=early_stopping judges by validations, and"):
        short_run(tmp_path / "run", "callbacks=early_stopping", "data.val_fraction=0.0")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"patience": 0}, "early_stopping.patience=0 must be at least 1"),
        ({"min_delta": -1.0}, "early_stopping.min_delta=-1.0 must be a number of at least 0"),
        ({"mode": "up"}, "early_stopping.mode=up must be min, max or null"),
        (
            {"monitor": "val/zeal"},
            "early_stopping.mode=null does not tell which values of val/zeal",
        ),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        EarlyStopping(**options)


def test_higher_is_better_where_the_name_says_so() -> None:
    assert EarlyStopping(monitor="val/accuracy").mode == "max"
    assert EarlyStopping(monitor="val/accuracy", mode="min").mode == "min"


def test_the_time_limit_is_a_reason_too(tmp_path: Path) -> None:
    result = short_run(tmp_path / "run", "trainer.max_minutes=1e-6")
    assert (result.status, result.stopped_early) == ("finished", "trainer.max_minutes are over")
    assert json.loads((tmp_path / "run" / "result.json").read_text())["stopped_early"] is not None
