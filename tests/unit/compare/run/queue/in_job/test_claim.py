"""A folder has one owner, whoever asks when, and nobody takes it from one that may be alive."""

from __future__ import annotations

import threading

import pytest

from lightning_transformer.compare.run.queue.in_job import claim as module
from lightning_transformer.compare.run.queue.in_job.claim import Claimant, claim, release

ONE, TWO = Claimant("1", 0, "n1"), Claimant("2", 0, "n2")


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    monkeypatch.setattr(module, "EVERY", 0.0)


def dead(owner):
    return False


def alive(owner):
    return True


def silent(owner):
    return None


def test_a_free_folder_is_taken_and_given_back(tmp_path):
    assert claim(tmp_path, "a", ONE, alive) is None
    assert claim(tmp_path, "b", TWO, alive) is None  # another folder
    release(tmp_path, "a", ONE)
    assert claim(tmp_path, "a", TWO, alive) is None


def test_a_living_owner_keeps_its_folder(tmp_path):
    claim(tmp_path, "a", ONE, alive)
    refused = claim(tmp_path, "a", TWO, alive)
    assert str(refused) == (
        "its folder is held by job 1 (restart 0) on n1, which the queue says is alive"
    )
    release(tmp_path, "a", TWO)  # not its own
    assert claim(tmp_path, "a", TWO, alive) is not None


def test_a_folder_is_never_taken_where_nobody_can_say_whether_its_owner_lives(tmp_path):
    claim(tmp_path, "a", ONE, alive)
    refused = claim(tmp_path, "a", TWO, silent)
    assert str(refused).endswith(f"if it is not, delete {refused.file}")
    refused.file.unlink()
    assert claim(tmp_path, "a", TWO, silent) is None


def test_a_file_that_names_nobody_is_not_taken_either(tmp_path):
    claim(tmp_path, "a", ONE, alive)
    (file,) = tmp_path.iterdir()
    file.write_text("{")
    refused = claim(tmp_path, "a", TWO, dead)
    assert "held by job unknown" in str(refused)


def test_an_earlier_start_of_the_same_job_has_ended(tmp_path):
    claim(tmp_path, "a", ONE, alive)
    assert claim(tmp_path, "a", Claimant("1", 1, "n2"), alive) is None


def test_one_alone_takes_the_place_of_a_dead_owner(tmp_path, monkeypatch):
    """All have seen it dead before any of them takes its place."""
    monkeypatch.setattr(module, "PATIENCE", 10.0)  # a claim is empty for a moment
    claim(tmp_path, "a", ONE, alive)
    names = [str(n) for n in range(2, 10)]
    together = threading.Barrier(len(names))
    seen = threading.local()

    def lives(owner):
        if owner.number == "1" and not hasattr(seen, "before"):
            seen.before = True
            together.wait(60)
        return owner.number != "1"

    refused = {}

    def take(name):
        refused[name] = claim(tmp_path, "a", Claimant(name, 0, "n1"), lives)

    threads = [threading.Thread(target=take, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    winners = [name for name in names if refused[name] is None]
    assert len(winners) == 1
    assert {refused[name].owner.number for name in names if name not in winners} == set(winners)
