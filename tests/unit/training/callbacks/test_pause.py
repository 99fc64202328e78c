"""A run that pauses and goes on is the run that was not interrupted."""

from __future__ import annotations

import pytest

from lightning_transformer.runs.result import read
from lightning_transformer.training.callbacks.pause import Pause
from tests.helpers.short_runs import difference, history, short, short_run, type_in

PAUSE = "+callbacks.pause._target_=lightning_transformer.training.callbacks.pause.Pause"


@pytest.mark.slow
def test_a_paused_run_goes_on_as_if_it_had_not(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    through = tmp_path / "through"
    short_run(through, "optimizer=adamw")
    folder = tmp_path / "paused"
    typed = [*short(tmp_path, "optimizer=adamw", PAUSE), "resume=auto", f"hydra.run.dir={folder}"]
    assert type_in(monkeypatch, *typed, "+callbacks.pause.step=3") == 143
    stopped = read(folder)
    assert (stopped.status, stopped.steps) == ("stopped", 3)
    assert stopped.metrics["val/loss"] == pytest.approx(
        float(next(row for row in history(through) if row["val/loss"])["val/loss"]), abs=0
    )
    # The same again changes nothing: it stands where it is to pause.
    assert type_in(monkeypatch, *typed, "+callbacks.pause.step=3") == 143
    assert read(folder).steps == 3
    assert type_in(monkeypatch, *typed, "+callbacks.pause.step=6") == 0
    assert read(folder).status == "finished"
    assert read(folder).metrics == read(through).metrics
    assert history(folder) == history(through)
    assert difference(folder, through) == 0.0


def test_a_step_below_one_is_refused():
    with pytest.raises(ValueError, match="step=0"):
        Pause(step=0)
