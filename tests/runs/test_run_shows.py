"""What runs show on the console and in TensorBoard, and what several processes make of one."""

from __future__ import annotations

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_transformer.runs.result import read
from tests.helpers.short_runs import (
    command,
    difference,
    history,
    short,
    short_pairs,
    short_run,
    start,
)


@pytest.mark.slow
def test_console_without_a_terminal_is_plain_and_says_nothing_twice(tmp_path):
    done = command(*short(tmp_path), f"hydra.run.dir={tmp_path / 'run'}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert not [line for line in lines if "\x1b" in line or "\r" in line]
    advice = ("tip", "litlogger", "warn", "gpu available", "seed set", "max_steps", "workers")
    said = [line for line in lines if line.lower().startswith(advice) or "Lightning" in line]
    assert said == []
    start_of = [line for line in lines if line.startswith(("step ", "finished", "use"))]
    assert len(start_of) == len(set(start_of)) == 5
    for begin in ("text  0.01 MB", "step 3  val/loss", "step 6/6  loss", "finished at step 6"):
        assert sum(line.startswith(begin) for line in lines) == 1, done.stdout


def test_tensorboard_shows_what_a_person_compares(tmp_path):
    typed = ("logger=tensorboard", "callbacks=default")
    differing = {"norm": "rmsnorm", "seed": "1"}
    result = short_run(tmp_path / "run", *typed, differing=differing)
    events = EventAccumulator(str(tmp_path / "run"), size_guidance={"tensors": 0})
    events.Reload()
    scalars = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
    for tag in ("train/loss", "optim/lr", "optim/grad_norm", "perf/tokens_per_s"):
        assert [event.step for event in scalars[tag]] == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in scalars["val/loss"]] == [3, 6]
    # The tenth file that a process writes within a second is read before the ninth.
    last = {tag: max(found, key=lambda event: event.wall_time) for tag, found in scalars.items()}
    assert last["val/loss"].value == pytest.approx(result.metrics["val/loss"])
    assert last["result/test_loss"].value == pytest.approx(result.metrics["test/loss"])
    assert last["result/val_loss"].value == pytest.approx(result.metrics["val/loss"])
    samples = events.Tensors("samples/text_summary")
    assert [event.step for event in samples] == [3, 6]
    assert b"**output**" in samples[0].tensor_proto.string_val[0]
    config = events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "max_steps: 6" in config
    content = events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    for text in (b"norm", b"rmsnorm", b"seed", b"n_params", str(result.n_params).encode()):
        assert text in content


# -- several processes -----------------------------------------------------------------------------


@pytest.mark.slow
def test_two_processes_compute_what_one_does(tmp_path):
    typed = short_pairs(tmp_path, "optimizer=adamw", "data.batch_size=8", "logger=tensorboard")
    start(tmp_path / "one", typed)
    two = [
        "trainer=ddp",
        "trainer.devices=2",
        "trainer.accelerator=cpu",
        "trainer.precision=32-true",
    ]
    typed = [o for o in typed if o != "trainer=cpu"] + two
    done = command(*typed, f"hydra.run.dir={tmp_path / 'two'}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result, alone = read(tmp_path / "two"), read(tmp_path / "one")
    assert (result.status, result.steps) == ("finished", 6)
    assert difference(tmp_path / "one", tmp_path / "two") < 1e-5
    for name, value in alone.metrics.items():
        assert result.metrics[name] == pytest.approx(value, rel=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "source", "target", "two"]
    for row, other in zip(history(tmp_path / "one"), history(tmp_path / "two"), strict=True):
        assert float(row["train/loss"]) == pytest.approx(float(other["train/loss"]), rel=1e-5)
    assert done.stdout.count("finished at step 6") == 1
