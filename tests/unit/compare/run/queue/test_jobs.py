"""Runs in a queue that cannot be relied on: each is done once, none is lost, none is done twice."""

from __future__ import annotations

import contextlib
import json
import random
import signal

import pytest

from lightning_transformer.compare.run import scheduler
from lightning_transformer.compare.run.queue.cancel import cancel
from lightning_transformer.compare.run.queue.in_job import claim, status
from lightning_transformer.compare.run.queue.orders import EXITS
from lightning_transformer.compare.run.queue.record import PLACE, RECORD_FILE, read_record
from tests.unit.compare.run.fake_jobs import Jobs, plan, pool
from tests.unit.compare.run.queue.fake_queue import FakeQueue, queue_of

SEEDS = (1, 2, 3, 4, 5, 6)


class Killed(BaseException):
    """The command is gone, as by SIGKILL: nothing is written any more."""


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch):
    monkeypatch.setattr(scheduler, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(status, "code_sha256", lambda: "code")
    monkeypatch.setattr(claim, "PATIENCE", 0.0)
    monkeypatch.setattr(claim, "EVERY", 0.0)


def comparison(folder, trouble=0.0, seed=0, seeds=SEEDS, **broken):
    """A plan of runs at a fixed rate, and a queue for them."""
    asked = plan(lr="fixed", seeds=seeds)
    jobs = Jobs(folder, lambda overrides, step: 1.0 + int(overrides["seed"]) / 10, broken)
    by_folder = {job.folder: job for job in asked.todo({})}
    return asked, FakeQueue(jobs, by_folder, random.Random(seed), trouble)


def work(asked, fake, folder, killed_after=None, n_workers=20, **options):
    """A command that works until all is done, or is killed after so many turns."""
    found, lines = pool(asked, folder, n_workers=n_workers), []
    found.load_outcomes()
    queue = queue_of(found, fake, asked, **options)
    turns = iter(range(100_000))

    def tick():
        if next(turns) == killed_after:
            raise Killed
        fake.turn()

    with contextlib.suppress(Killed):
        found.run(queue.start, lines.append, tick)
    return found, queue, lines


@pytest.mark.parametrize("pack", [1, 4])
def test_every_run_is_done_once_with_one_question_a_second(tmp_path, pack):
    asked, fake = comparison(tmp_path / "try")
    done, queue, _ = work(asked, fake, tmp_path / "try", pack=pack)
    assert sorted(fake.jobs.begun) == sorted(fake.by_folder)
    assert set(fake.starts.values()) == {1}
    assert all(outcome.state == "finished" for outcome in done.outcomes.values())
    assert len(fake.gone) == 12 / pack
    assert fake.calls <= 12 / pack + fake.now
    assert (queue.allocations, done.failures) == ({}, {})
    assert json.loads((tmp_path / "try" / RECORD_FILE).read_text())["allocations"] == {}
    assert list((tmp_path / "try" / PLACE / EXITS).iterdir()) == []


@pytest.mark.parametrize("seed", range(3))
def test_no_run_is_lost_or_done_twice_whatever_happens(tmp_path, seed):
    """Also where the command is killed again and again, at any moment."""
    folder, draw = tmp_path / "try", random.Random(seed)
    asked, fake = comparison(folder, trouble=0.1, seed=seed)
    options = {"pack": 1 + seed % 3, "n_workers": 8}
    for _ in range(5):
        work(asked, fake, folder, killed_after=draw.randrange(25), **options)
    done, queue, _ = work(asked, fake, folder, **options)
    assert fake.twice == []
    assert len(done.outcomes) == len(fake.by_folder) == 12
    assert all(outcome.state == "finished" for outcome in done.outcomes.values())
    assert sorted(set(fake.jobs.begun)) == sorted(fake.by_folder)
    assert (queue.allocations, done.failures) == ({}, {})


def test_a_later_command_adopts_what_lives_and_submits_the_rest(tmp_path):
    asked, fake = comparison(tmp_path / "try")
    work(asked, fake, tmp_path / "try", killed_after=2, n_workers=5)
    assert len(fake.alive) == 5
    work(asked, fake, tmp_path / "try", n_workers=5)
    assert (len(fake.gone), set(fake.starts.values())) == (12, {1})


def test_no_answer_is_not_taken_for_an_end(tmp_path, monkeypatch):
    asked, fake = comparison(tmp_path / "try", seeds=(1,))
    monkeypatch.setattr(fake, "living", lambda: None)
    monkeypatch.setattr(fake, "turn", lambda: setattr(fake, "now", fake.now + 1))
    _, queue, lines = work(asked, fake, tmp_path / "try", killed_after=1000)
    assert (len(queue.allocations), lines, len(fake.alive)) == (2, [], 2)


def test_a_run_that_fails_has_two_attempts_and_one_that_is_preempted_any_number(tmp_path):
    asked, fake = comparison(tmp_path / "try", seeds=(1,), **{"norm=a,seed=1": 9})
    fake.jobs.broken.clear()
    fake.jobs.broken["norm=a,seed=1"] = 9
    done, _, lines = work(asked, fake, tmp_path / "try")
    assert done.failures["norm=a,seed=1"].attempts == 2
    assert fake.starts == {"norm=a,seed=1": 2, "norm=b,seed=1": 1}
    assert sum("will be tried again" in line for line in lines) == 1


def test_a_run_that_is_only_ever_preempted_before_its_save_is_given_up(tmp_path, monkeypatch):
    asked, fake = comparison(tmp_path / "try", seeds=(1,))
    monkeypatch.setattr(fake, "_work", fake._stop)
    done, _, _ = work(asked, fake, tmp_path / "try")
    assert set(fake.starts.values()) == {3}
    for failure in done.failures.values():
        assert failure.error.startswith("no progress between 3 restarts, from the checkpoint of st")


def test_a_job_that_leaves_the_queue_without_progress_is_given_up(tmp_path, monkeypatch):
    asked, fake = comparison(tmp_path / "try", seeds=(1,))
    monkeypatch.setattr(fake, "_begin", lambda job: fake._go(job, "TIMEOUT"))
    done, _, lines = work(asked, fake, tmp_path / "try")
    assert sum(line.startswith("lost") for line in lines) == 2 * 3
    assert "job 1 left the queue (TIMEOUT) (goes on in another job)" in lines[0]
    assert len(done.failures) == 2
    assert len(fake.gone) == 2 * 4


def test_a_job_that_somebody_cancels_is_not_queued_again(tmp_path, monkeypatch):
    asked, fake = comparison(tmp_path / "try", seeds=(1,))
    monkeypatch.setattr(fake, "_begin", lambda job: fake._go(job, "CANCELLED"))
    done, _, _ = work(asked, fake, tmp_path / "try")
    assert {f.error for f in done.failures.values()} == {
        "job 1 was cancelled in the queue",
        "job 2 was cancelled in the queue",
    }


def interrupted(asked, fake, folder, leave):
    """A command that gets a Ctrl-C in its third second."""
    found, lines = pool(asked, folder, n_workers=3), []
    queue = queue_of(found, fake, asked, asks=lambda n: leave)

    def tick():
        if fake.now == 2:
            signal.raise_signal(signal.SIGINT)
        fake.turn()

    found.run(queue.start, lines.append, tick)
    return found, lines


def test_a_stopped_command_leaves_its_jobs(tmp_path):
    asked, fake = comparison(tmp_path / "try")
    found, lines = interrupted(asked, fake, tmp_path / "try", leave=True)
    assert found.signum == signal.SIGINT
    assert [line.split()[:2] for line in lines] == [["in", "queue"]] * 3
    assert len(fake.alive) == len(read_record(tmp_path / "try").allocations) == 3
    work(asked, fake, tmp_path / "try")
    assert set(fake.starts.values()) == {1}


def test_a_stopped_command_ends_its_jobs_where_that_is_wanted(tmp_path):
    asked, fake = comparison(tmp_path / "try")
    _, lines = interrupted(asked, fake, tmp_path / "try", leave=False)
    assert [line.split()[0] for line in lines] == ["stopped"] * 3
    assert (fake.alive, read_record(tmp_path / "try").allocations) == ({}, {})
    done, _, _ = work(asked, fake, tmp_path / "try")
    assert len(done.outcomes) == 12  # a folder that a cancelled job had is free again


def test_cancel_ends_what_was_left(tmp_path, capsys):
    asked, fake = comparison(tmp_path / "try")
    work(asked, fake, tmp_path / "try", killed_after=3, n_workers=4)
    assert cancel(tmp_path / "try", fake, wait=0) == 0
    assert (fake.alive, read_record(tmp_path / "try").allocations) == ({}, {})
    assert capsys.readouterr().out == f"{tmp_path / 'try'}: 4 of 4 jobs ended\n"
