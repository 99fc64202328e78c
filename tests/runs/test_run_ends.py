"""How runs end: by themselves, by an error, by Ctrl-C, by a time limit."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import time

import pytest
import torch
from lightning.pytorch.callbacks import Timer
from safetensors import safe_open

from lightning_transformer.errors import ConfigError
from lightning_transformer.models.base import Transformer
from lightning_transformer.runs.result import read
from tests.helpers.short_runs import (
    At,
    checkpoint,
    crash,
    environment,
    interrupt,
    short,
    short_run,
    type_in,
)


def test_a_failure_is_reported_in_the_folder(tmp_path, monkeypatch):
    At(monkeypatch, 5, crash)
    with pytest.raises(RuntimeError, match="the machine broke"):
        short_run(tmp_path / "run")
    result = read(tmp_path / "run")
    assert (result.status, result.error) == ("failed", "RuntimeError: the machine broke")
    assert result.n_params > 10000
    assert result.data["name"] == "text"
    assert "in crash" in (tmp_path / "run" / "traceback.txt").read_text()
    assert checkpoint(tmp_path / "run")["global_step"] == 3


def test_a_refused_run_says_why_in_its_result(tmp_path):
    with pytest.raises(ConfigError, match=r"model\.d_model=32 .*attention\.n_heads=5"):
        short_run(tmp_path / "run", "attention.n_heads=5")
    result = read(tmp_path / "run")
    assert result.status == "failed"
    assert result.error.startswith("ConfigError: model.d_model=32 is not divisible")


def test_an_interrupt_ends_after_the_step_with_a_checkpoint(tmp_path, monkeypatch, capsys):
    At(monkeypatch, 4, interrupt)
    before = signal.getsignal(signal.SIGINT)
    result = short_run(tmp_path / "run", "trainer.accumulate=2")
    assert (result.status, result.error, result.steps) == ("stopped", None, 2)
    assert result.tokens_seen == 2 * 8 * 16
    assert checkpoint(tmp_path / "run")["global_step"] == 2
    # It has what an undisturbed run has by then: no validation.
    assert result.metrics == {}
    assert signal.getsignal(signal.SIGINT) is before
    output = capsys.readouterr().out
    assert "stopping after this step" in output
    assert "stopped at step 2" in output


@pytest.mark.parametrize(("micro_batch", "step"), [(2, 2), (5, 3)])
def test_an_interrupted_run_leaves_its_best_weights_for_other_programs(
    tmp_path, monkeypatch, micro_batch, step
):
    """Those of the best validation so far, which is at step 3; before it, those of the stop."""
    At(monkeypatch, micro_batch, interrupt)
    assert short_run(tmp_path / "run").status == "stopped"
    with safe_open(tmp_path / "run" / "model.safetensors", "pt") as file:
        assert file.metadata()["step"] == str(step)
        kept = checkpoint(tmp_path / "run", "best" if step == 3 else "last")["state_dict"]
        assert all(torch.equal(file.get_tensor(name), kept[name]) for name in kept)


def test_a_stopped_run_does_not_fail_where_its_weights_cannot_be_written(
    tmp_path, monkeypatch, caplog
):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lightning_transformer.training.run.write_weights", full)
    At(monkeypatch, 2, interrupt)
    assert short_run(tmp_path / "run").status == "stopped"
    assert "model.safetensors was not written: " in caplog.text


def test_a_run_without_test_data_leaves_its_best_weights(tmp_path):
    short_run(tmp_path / "run", "data.test_fraction=0")
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_a_second_interrupt_ends_at_once(tmp_path, monkeypatch):
    At(monkeypatch, 5, lambda: (interrupt(), interrupt()))
    before = signal.getsignal(signal.SIGINT)
    short_run(tmp_path / "run")
    result = read(tmp_path / "run")
    assert (result.status, result.error) == ("stopped", None)
    assert checkpoint(tmp_path / "run")["global_step"] == 3
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_while_testing_is_no_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(Transformer, "test_step", lambda *args: interrupt())
    assert type_in(monkeypatch, *short(tmp_path), f"hydra.run.dir={tmp_path / 'run'}") == 130
    assert read(tmp_path / "run").status == "stopped"


@pytest.mark.slow
def test_ctrl_c_from_outside(tmp_path):
    typed = short(tmp_path, "trainer.max_steps=100000", "trainer.val_every=50000")
    call = [sys.executable, "-m", "lightning_transformer", *typed, f"hydra.run.dir={tmp_path}/run"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        call, cwd=tmp_path, env=environment(), stdout=pipe, stderr=pipe, text=True
    ) as process:
        rows, deadline = tmp_path / "run" / "metrics.csv", time.monotonic() + 120
        while not rows.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
    assert process.returncode == 130, out + err
    assert err == ""
    result = read(tmp_path / "run")
    assert result.status == "stopped"
    assert 0 < result.steps < 100000
    assert checkpoint(tmp_path / "run")["global_step"] == result.steps
    assert f"resume={tmp_path.name}" in out or "resume=run" in out


def test_a_time_limit_ends_between_steps(tmp_path, monkeypatch):
    at = At(monkeypatch, 0, lambda: None)
    monkeypatch.setattr(Timer, "time_elapsed", lambda *args: 3600 if at.count >= 5 else 0)
    result = short_run(tmp_path / "run", "trainer.max_minutes=1.0", "trainer.accumulate=4")
    assert (result.status, result.steps, result.tokens_seen) == ("finished", 2, 2 * 128)
    assert at.count == 8
    assert checkpoint(tmp_path / "run")["global_step"] == 2


def test_no_time_at_all_is_still_a_run(tmp_path):
    result = short_run(tmp_path / "run", "trainer.max_minutes=1e-9")
    assert (result.status, result.steps) == ("finished", 0)
    assert result.metrics["test/loss"] == pytest.approx(math.log(262), abs=0.1)


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    for module in ("run", "session"):
        monkeypatch.setattr(f"lightning_transformer.training.{module}.is_first", lambda: False)
    short_run(tmp_path / "run")
    assert not (tmp_path / "run" / "result.json").exists()
