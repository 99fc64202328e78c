"""Checkpoint folders: whole or not there, wherever a save is broken off, and damage is found."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from lightning_transformer.checkpoint import store
from lightning_transformer.checkpoint.disk_space import check_space
from tests.helpers.crashes import Crash, DiskCalls

# What a save changes on the disk, in this order; a crash can come before each, and at the end.
BEGIN = ["mkdir"]
FILES = ["write", "mkdir", "write"]  # by `save` below, in place of a trainer
MANIFEST = ["write", "fsync", "replace", "fsync"]
COMMIT = ["fsync", "fsync", *MANIFEST, "fsync", "fsync", "rename", "fsync"]
PRUNE = ["rename", "rmdir", "rmdir", "unlink", "unlink", "unlink"]  # removals in any order
SAVE = [*BEGIN, *FILES, *COMMIT, *PRUNE]
NAMED = len([*BEGIN, *FILES, *COMMIT]) - 1  # calls after which the new checkpoint has its name


def save(folder, step, *, loss=None, content=b"state"):
    """One save as a run does it, with a file and a folder of shards."""
    temporary = store.begin(folder, step)
    (temporary / store.STATE).write_bytes(content + b" %d" % step)
    (temporary / "shards").mkdir()
    (temporary / "shards" / "a").write_bytes(b"a" * step)
    metrics = {} if loss is None else {"val/loss": loss}
    made = store.commit(temporary, step, metrics=metrics, facts={"config_sha256": "x"})
    store.prune(folder)
    return made


def steps(folder):
    return [found.step for found in store.listed(folder)]


def nobody(text):
    raise AssertionError(text)


def test_what_is_written_is_found(tmp_path):
    made = save(tmp_path, 3, loss=1.5)
    found = store.newest(tmp_path, nobody)
    assert found == made == store.best(tmp_path) == store.last(tmp_path)
    assert (found.step, found.metrics, found.facts) == (
        3,
        {"val/loss": 1.5},
        {"config_sha256": "x"},
    )
    assert found.state.read_bytes() == b"state 3"
    assert found.size == len(b"state 3") + 3
    assert set(found.files) == {"state.ckpt", "shards/a"}


def test_an_empty_folder_holds_nothing(tmp_path):
    for folder in (tmp_path, tmp_path / "not there"):
        assert store.newest(folder, nobody) is None
        assert store.best(folder) is None
        assert store.last(folder) is None


def test_the_newest_two_and_the_best_stay(tmp_path):
    for step, loss in ((1, 3.0), (2, 1.0), (3, 2.0), (4, 2.5), (10, 1.0)):
        save(tmp_path, step, loss=loss)
    assert steps(tmp_path) == [10, 4, 2]
    assert store.best(tmp_path).step == 2  # of equal ones the first
    assert sorted(os.listdir(tmp_path)) == ["step-10", "step-2", "step-4"]


def test_a_loss_that_is_no_number_is_never_the_best(tmp_path):
    for step, loss in ((1, float("nan")), (2, float("inf")), (3, 5.0)):
        save(tmp_path, step, loss=loss)
    assert store.best(tmp_path).step == 3


def test_a_step_is_never_written_over(tmp_path):
    save(tmp_path, 3)
    with pytest.raises(AssertionError, match="is there already"):
        store.begin(tmp_path, 3)


def test_metrics_can_be_added_later(tmp_path):
    made = save(tmp_path, 3)
    assert store.best(tmp_path) is None
    store.add_metrics(made, {"val/loss": 2.0})
    assert store.best(tmp_path).metrics == {"val/loss": 2.0}


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("n_calls", range(len(SAVE) + 1))
def test_a_crash_anywhere_leaves_what_was_there(tmp_path, monkeypatch, n_calls, elsewhere):
    if elsewhere:  # a folder for temporary files on another file system plays no part
        monkeypatch.setenv("TMPDIR", "/dev/shm" if Path("/dev/shm").is_dir() else "/")
    for step, loss in ((1, 1.0), (2, 2.0), (3, 3.0)):
        save(tmp_path, step, loss=loss)
    with monkeypatch.context() as patch:
        calls = DiskCalls(patch, n_calls)
        if n_calls == len(SAVE):
            save(tmp_path, 4, loss=4.0)
        else:
            with pytest.raises(Crash):
                save(tmp_path, 4, loss=4.0)
    assert len(calls.names) == n_calls
    there = n_calls >= NAMED
    assert store.newest(tmp_path, nobody).step == (4 if there else 3)
    assert store.best(tmp_path).step == 1
    for found in store.listed(tmp_path):
        store.verify(found.path)
    # The next start: litter goes, and the same step can be written.
    store.clean(tmp_path)
    assert not [name for name in os.listdir(tmp_path) if not name.startswith("step-")]
    if not there:
        save(tmp_path, 4, loss=4.0)
    save(tmp_path, 5, loss=5.0)
    assert steps(tmp_path) == [5, 4, 1]


def test_every_change_of_the_disk_is_named_here(tmp_path, monkeypatch):
    for step, loss in ((1, 1.0), (2, 2.0), (3, 3.0)):
        save(tmp_path, step, loss=loss)
    with monkeypatch.context() as patch:
        calls = DiskCalls(patch)
        save(tmp_path, 4, loss=4.0)
    kept, pruned = calls.names[: -len(PRUNE)], calls.names[-len(PRUNE) :]
    assert kept == [*BEGIN, *FILES, *COMMIT]
    assert [pruned[0], *sorted(pruned[1:])] == PRUNE


def test_files_are_on_the_disk_before_they_count(tmp_path, monkeypatch):
    calls = []
    fsync, rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda number: (calls.append("fsync"), fsync(number)))
    monkeypatch.setattr(os, "rename", lambda a, b: (calls.append("rename"), rename(a, b)))
    save(tmp_path, 1)
    # two files, the manifest and its folder, both folders; then the name, then its folder
    assert calls == ["fsync"] * 6 + ["rename", "fsync"]


def test_a_thousand_damaged_files_are_all_found(tmp_path):
    content = random.Random(0).randbytes(3000)
    save(tmp_path, 1, content=content)
    save(tmp_path, 2, content=content)
    draw = random.Random(1)
    names = ("state.ckpt", "shards/a", "manifest.json")
    for _ in range(1000):
        path = tmp_path / "step-2" / draw.choice(names)
        whole = path.read_bytes()
        damaged = bytearray(whole)
        if draw.random() < 0.3:
            del damaged[draw.randrange(len(damaged)) :]
        else:
            damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        if bytes(damaged) == whole or _says_the_same(path, whole, bytes(damaged)):
            continue
        path.write_bytes(damaged)
        said = []
        assert store.newest(tmp_path, said.append).step == 1
        (line,) = said
        assert line.startswith("checkpoint of step 2 cannot be used: ")
        assert "\n" not in line
        path.write_bytes(whole)
    assert store.newest(tmp_path, nobody).step == 2


def _says_the_same(path, whole, damaged):
    """A manifest in which only white space, or the case of an exponent, has changed."""
    if path.name != "manifest.json":
        return False
    try:
        return json.loads(damaged) == json.loads(whole)
    except ValueError:
        return False


@pytest.mark.parametrize("name", ["state.ckpt", "shards/a", "manifest.json"])
def test_missing_files_are_found(tmp_path, name):
    save(tmp_path, 1)
    (tmp_path / "step-1" / name).unlink()
    with pytest.raises(ValueError, match=r"is missing$|has no manifest\.json$"):
        store.verify(tmp_path / "step-1")


def test_files_that_were_put_there_are_found(tmp_path):
    save(tmp_path, 1)
    (tmp_path / "step-1" / "extra.pkl").write_bytes(b"")
    with pytest.raises(ValueError, match=r"extra\.pkl is not in the manifest$"):
        store.verify(tmp_path / "step-1")


def test_a_folder_under_another_name_is_found(tmp_path):
    save(tmp_path, 1)
    shutil.copytree(tmp_path / "step-1", tmp_path / "step-7")
    said = []
    assert store.newest(tmp_path, said.append).step == 1
    assert said[0].endswith("step-7 holds step 1")


def test_a_damaged_best_is_not_replaced_in_silence(tmp_path):
    save(tmp_path, 1, loss=1.0)
    save(tmp_path, 2, loss=2.0)
    (tmp_path / "step-1" / "state.ckpt").write_bytes(b"state 2")
    with pytest.raises(ValueError, match=r"is damaged: its SHA-256"):
        store.best(tmp_path)
    (tmp_path / "step-1" / "manifest.json").write_bytes(b"{")
    with pytest.raises(ValueError, match=r"is damaged: it is not the JSON"):
        store.best(tmp_path)


def test_a_newer_format_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(store, "SCHEMA", 2)
        save(tmp_path, 1)
    with pytest.raises(ValueError, match=r"schema=2 is not supported; this version reads 1$"):
        store.verify(tmp_path / "step-1")


def test_what_is_newer_than_the_start_is_set_aside(tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, step)
    assert store.set_aside_after(tmp_path, 2) == ["step-3"]
    save(tmp_path, 3)
    assert store.set_aside_after(tmp_path, 2) == ["step-3"]
    assert sorted(os.listdir(tmp_path)) == ["aside-step-3", "aside-step-3~2", "step-2"]
    assert store.set_aside_after(tmp_path, None) == ["step-2"]


def test_a_full_disk_is_named_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 9, 1_000_000))
    check_space(tmp_path, 1_000_000)
    with pytest.raises(OSError, match=r"needs 2 MB and 1 MB are free") as caught:
        check_space(tmp_path, 2_000_000)
    assert caught.value.errno == errno.ENOSPC


def save_two(folder, step, loss, accuracy, **monitor):
    temporary = store.begin(folder, step)
    (temporary / store.STATE).write_bytes(b"state")
    facts = {store.MONITOR: monitor} if monitor else {}
    metrics = {"val/loss": loss, "val/accuracy": accuracy}
    made = store.commit(temporary, step, metrics=metrics, facts=facts)
    store.prune(folder)
    return made


@pytest.mark.parametrize(
    ("monitor", "step"),
    [
        ({}, 2),
        ({"metric": "val/loss", "mode": "min"}, 2),
        ({"metric": "val/accuracy", "mode": "max"}, 1),
        ({"metric": "val/accuracy", "mode": "min"}, 3),
    ],
)
def test_the_best_is_chosen_and_kept_by_the_metric_that_the_run_has(tmp_path, monitor, step):
    for number, loss, accuracy in ((1, 3.0, 0.9), (2, 1.0, 0.5), (3, 2.0, 0.1), (4, 2.5, 0.2)):
        save_two(tmp_path, number, loss, accuracy, **monitor)
    assert store.best(tmp_path).step == step
    assert steps(tmp_path) == sorted({4, 3, step}, reverse=True)


def test_the_newest_checkpoint_says_by_which_metric_all_are_judged(tmp_path):
    """A resumed run may have another one; what was written before it is judged by that too."""
    by_loss, by_accuracy = (
        {"metric": f"val/{n}", "mode": m} for n, m in (("loss", "min"), ("accuracy", "max"))
    )
    save_two(tmp_path, 1, 3.0, 0.9, **by_loss)
    made = save_two(tmp_path, 2, 1.0, 0.5, **by_loss)
    assert store.best(tmp_path).step == 2
    store.add_facts(made, {store.MONITOR: by_accuracy})
    assert store.best(tmp_path).step == 1
    assert store.verify(made.path).facts == {store.MONITOR: by_accuracy}


@pytest.mark.parametrize("odd", ["val/loss", ["val/loss", "min"], {"metric": 7, "x": 1}, None])
def test_a_manifest_that_no_run_wrote_costs_no_more_than_the_best(tmp_path, odd):
    made = save(tmp_path, 3, loss=1.0)
    store.add_facts(made, {store.MONITOR: odd})
    found = store.best(tmp_path)
    assert found is None if isinstance(odd, dict) else found.step == 3
