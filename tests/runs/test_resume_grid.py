"""Wherever a run is stopped or killed, what comes of it in the end is the same to the last bit."""

from __future__ import annotations

import os
import signal

import pytest
import torch

from lightning_transformer.checkpoint import store
from lightning_transformer.models.base import Transformer
from lightning_transformer.runs.result import read
from tests.helpers.crashes import crash_after
from tests.helpers.short_runs import DROPOUT, At, crash, difference, history, short_run

# Two micro-batches to a step, three steps to an epoch, validation after steps 2, 4 and 6.
COMMON = (
    *DROPOUT,
    "trainer.accumulate=2",
    "trainer.val_every=2",
    "data.seq_len=64",
    "data.batch_size=50",
)
WAYS = {
    "plain": (),
    "workers": ("data.num_workers=2",),
    "adamw": ("optimizer=adamw", "schedule=cosine"),
    "saves": ("trainer.save_every=1",),
    "schedule_free": ("optimizer=schedule_free", "schedule=constant"),
    "mars": ("optimizer=mars",),
    "soap": ("optimizer=soap", "optimizer.precondition_every=2"),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Makes the folder of a run that nobody disturbs, once for each way."""
    made = {}

    def folder(way):
        if way not in made:
            made[way] = tmp_path_factory.mktemp(way) / "run"
            assert short_run(made[way], *COMMON, *WAYS[way]).status == "finished"
        return made[way]

    return folder


def assert_same(folder, other):
    """Weights of all checkpoints, every logged value, and what the result says."""
    assert difference(folder, other) == 0
    assert difference(folder, other, "best") == 0
    assert history(folder) == history(other)
    one, two = read(folder), read(other)
    for name in ("status", "steps", "tokens_seen", "metrics", "data"):
        assert getattr(one, name) == getattr(two, name), name
    for which in (store.best, store.last):
        a, b = (which(run / "checkpoints") for run in (folder, other))
        assert (a.step, a.metrics) == (b.step, b.metrics)


CHEAP = {("plain", 4), ("plain", 5), ("adamw", 6)}


def how_often(way, micro):
    """The mark of a test: some run always, of each way one in the slow tests."""
    if (way, micro) in CHEAP:
        return ()
    return pytest.mark.slow if micro in (1, 5, 10) else pytest.mark.thorough


GRID = [
    pytest.param(way, micro, marks=how_often(way, micro))
    for way in WAYS
    for micro in (range(1, 11) if way == "plain" else (4, 5, 6))
]


@pytest.mark.parametrize(("way", "micro_batch"), GRID)
def test_stopped_by_a_signal(tmp_path, monkeypatch, undisturbed, way, micro_batch):
    number = signal.SIGTERM if micro_batch % 2 else signal.SIGINT
    with monkeypatch.context() as patch:
        At(patch, micro_batch, lambda: signal.raise_signal(number))
        stopped = short_run(tmp_path / "run", *COMMON, *WAYS[way])
    assert (stopped.status, stopped.steps) == ("stopped", (micro_batch + 1) // 2)
    short_run(tmp_path / "run", *COMMON, *WAYS[way], resume=True)
    assert_same(tmp_path / "run", undisturbed(way))


@pytest.mark.parametrize(
    "micro_batch", [pytest.param(m, marks=() if m == 9 else pytest.mark.slow) for m in (1, 5, 8, 9)]
)
def test_killed_in_a_step(tmp_path, monkeypatch, undisturbed, micro_batch):
    with monkeypatch.context() as patch:
        At(patch, micro_batch, crash)
        with pytest.raises(RuntimeError, match="broke"):
            short_run(tmp_path / "run", *COMMON)
    short_run(tmp_path / "run", *COMMON, resume=True)
    assert_same(tmp_path / "run", undisturbed("plain"))


@pytest.mark.parametrize(
    "hook",
    [
        pytest.param("on_validation_epoch_start", marks=pytest.mark.slow),
        "on_validation_epoch_end",
    ],
)
def test_killed_in_the_second_validation(tmp_path, monkeypatch, undisturbed, hook):
    calls = []

    def broken(model):
        calls.append(hook)
        if len(calls) == 2:
            crash()
        original(model)

    original = getattr(Transformer, hook)
    with monkeypatch.context() as patch:
        patch.setattr(Transformer, hook, broken)
        with pytest.raises(RuntimeError, match="broke"):
            short_run(tmp_path / "run", *COMMON)
    short_run(tmp_path / "run", *COMMON, resume=True)
    assert_same(tmp_path / "run", undisturbed("plain"))


@pytest.mark.parametrize(
    ("function", "target", "times"),
    [
        # the second save has its weights
        pytest.param("replace", "state.ckpt", 2, marks=pytest.mark.slow),
        pytest.param("replace", "manifest.json", 2, marks=pytest.mark.slow),  # and its manifest
        ("rename", "step-4", 1),  # and its name
        ("rename", ".step-2.old", 1),  # the first one has lost its own
    ],
)
def test_killed_in_a_save(tmp_path, monkeypatch, undisturbed, function, target, times):
    with monkeypatch.context() as patch:
        crash_after(patch, function, target, times=times, crash=crash)
        patch.setattr(store, "KEEP", 1)
        patch.setattr(store.prune, "__defaults__", (1,))
        with pytest.raises(RuntimeError, match="broke"):
            short_run(tmp_path / "run", *COMMON)
    short_run(tmp_path / "run", *COMMON, resume=True)
    assert difference(tmp_path / "run", undisturbed("plain")) == 0
    assert history(tmp_path / "run") == history(undisturbed("plain"))
    assert not [n for n in os.listdir(tmp_path / "run" / "checkpoints") if n[0] == "."]


def test_a_signal_before_the_first_step_leaves_nothing_to_go_on_with(
    tmp_path, monkeypatch, undisturbed
):
    with monkeypatch.context() as patch:
        patch.setattr(
            Transformer, "on_fit_start", lambda model: signal.raise_signal(signal.SIGTERM)
        )
        stopped = short_run(tmp_path / "run", *COMMON)
    assert (stopped.status, stopped.steps) == ("stopped", None)
    short_run(tmp_path / "run", *COMMON, resume=True)
    assert_same(tmp_path / "run", undisturbed("plain"))


@pytest.mark.parametrize(("module", "name"), [(torch, "save"), (os, "fsync")])
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch, module, name):
    original, begin, saves = getattr(module, name), store.begin, []

    def full(*args):
        monkeypatch.setattr(module, name, original)
        raise OSError(28, "No space left on device")

    def second(folder, step):
        saves.append(step)
        if len(saves) == 2:
            monkeypatch.setattr(module, name, full)
        return begin(folder, step)

    monkeypatch.setattr(store, "begin", second)
    with pytest.raises(OSError, match=r"checkpoint of step 4 was not written \(No space left"):
        short_run(tmp_path / "run", *COMMON)
    assert os.listdir(tmp_path / "run" / "checkpoints") == ["step-2"]
    store.verify(tmp_path / "run" / "checkpoints" / "step-2")
    assert "newest one before it is undamaged: step 2" in read(tmp_path / "run").error
