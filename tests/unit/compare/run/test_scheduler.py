"""Doing what a plan asks for: once, again where it failed, and from where it was left."""

from __future__ import annotations

import json
import signal

import pytest

from lightning_transformer.compare.run import scheduler as pool_module
from lightning_transformer.compare.run.command import rate_lines
from lightning_transformer.compare.run.outcome import outcome_of
from lightning_transformer.compare.run.state import (
    JOURNAL,
    Locks,
    comparison,
    differences,
    open_state,
)
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.result import RunResult
from tests.unit.compare.run.fake_jobs import Jobs, Process, plan, pool, worked


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch):
    monkeypatch.setattr(pool_module, "PATIENCE", 0.0)


NO_MATCH = {"axis": "none", "key": "", "residual": {}}


def best_at(rate):
    """A loss that is smallest at this learning rate, and smaller for norm=b."""

    def loss(said, step):
        distance = abs(float(said.get("optimizer.lr", rate)) / rate - 1)
        return 1.0 + distance + (said["norm"] == "a") * 0.5 + int(said["seed"]) * 1e-4

    return loss


def content(pool):
    return comparison(pool.plan, pool.outcomes, pool.failures, NO_MATCH)


def test_everything_is_done_once(tmp_path):
    done, jobs = worked(plan(), tmp_path / "try", best_at(0.01))
    assert len(jobs.begun) == len(set(jobs.begun)) == 6 + 4
    said = content(done)
    assert said["stage"] == "done"
    assert said["lr"]["chosen"] == {"norm=a": 0.01, "norm=b": 0.01}
    assert set(said["lr"]["screening"]["norm=a"]) == {"0.005", "0.01", "0.02"}
    assert said["lr"]["loss_at_init"] == {"norm=a": 5.0, "norm=b": 5.0}
    assert (said["failures"], said["stopped"], said["by"]) == ([], {}, ["norm"])


def test_what_is_finished_is_not_repeated(tmp_path):
    worked(plan(), tmp_path / "try", best_at(0.01))
    again, jobs = worked(plan(), tmp_path / "try", best_at(0.01))
    assert jobs.begun == []
    assert content(again)["stage"] == "done"


def test_a_start_between_any_two_jobs_gives_the_same_ledger(tmp_path):
    asked = plan("a", "b", "c", "d", steps=90, halving=3)
    through, jobs = worked(asked, tmp_path / "through", best_at(0.04))
    assert any(key[1] == 30 for key in through.outcomes)
    n = len(jobs.begun)
    for kill_at in range(0, n, 5):
        folder = tmp_path / str(kill_at)
        first = Jobs(folder, best_at(0.04))
        before = pool(asked, folder, first, n_workers=1)
        before.load_outcomes()
        for _ in range(kill_at):
            job = asked.todo(before.outcomes)[0]
            first.start(job, 0)
            before.load_outcomes()
        after, rest = worked(asked, folder, best_at(0.04))
        assert content(after) == content(through)
        assert len(rest.begun) + kill_at == n


def test_a_rate_that_diverges_is_neither_chosen_nor_tried_again(tmp_path):
    def loss(said, step):
        return None if float(said["optimizer.lr"]) > 0.015 else 1.0 / float(said["optimizer.lr"])

    done, jobs = worked(plan(), tmp_path / "try", loss)
    said = content(done)
    assert said["lr"]["screening"]["norm=a"]["0.02"] is None
    assert said["lr"]["chosen"]["norm=a"] == 0.01
    assert len(jobs.begun) == len(set(jobs.begun))
    assert said["failures"] == []


def test_a_reporting_run_that_diverges_is_kept_as_such(tmp_path):
    def loss(said, step):
        return None if said["norm"] == "b" and said["seed"] == "2" else best_at(0.01)(said, step)

    done, jobs = worked(plan(), tmp_path / "try", loss)
    assert done.outcomes["norm=b,seed=2", None].diverged
    assert jobs.begun.count("norm=b,seed=2") == 1
    assert content(done)["stage"] == "done"
    _, jobs = worked(plan(), tmp_path / "try", loss)
    assert jobs.begun == []


@pytest.mark.parametrize(("times", "begun", "failures"), [(1, 2, 0), (9, 2, 1)])
def test_a_failed_job_is_tried_once_more_and_then_reported(tmp_path, times, begun, failures):
    jobs = Jobs(tmp_path / "try", best_at(0.01), broken={"norm=b,seed=1": times})
    lines: list[str] = []
    found = pool(plan(lr="fixed"), tmp_path / "try", jobs)
    found.run(lines.append, lambda: None)
    assert jobs.begun.count("norm=b,seed=1") == begun
    assert jobs.begun[-1] == "norm=b,seed=1"  # after all others
    said = content(found)["failures"]
    assert len(said) == failures
    if failures:
        (one,) = said
        assert one == {"run": "norm=b,seed=1", "error": "the machine broke", "attempts": 2}
        assert lines[-1] == "given up  norm=b,seed=1: the machine broke"
    # A new start gives it another chance.
    again, jobs = worked(plan(lr="fixed"), tmp_path / "try", best_at(0.01))
    assert jobs.begun == (["norm=b,seed=1"] if failures else [])
    assert content(again)["failures"] == []


def test_a_refused_configuration_is_not_tried_again(tmp_path):
    jobs = Jobs(tmp_path / "try", best_at(0.01))
    begun: list[str] = []

    def start(job, worker):
        begun.append(job.folder)
        return Process(2, "error: unknown key nrm")

    jobs.start = start
    found = pool(plan(lr="fixed"), tmp_path / "try", jobs)
    lines: list[str] = []
    found.run(lines.append, lambda: None)
    assert len(begun) == len(set(begun)) == 4
    assert lines[0] == "given up  norm=a,seed=1: unknown key nrm"
    assert {(one["error"], one["attempts"]) for one in content(found)["failures"]} == {
        ("unknown key nrm", 1)
    }


def test_a_killed_job_is_told_by_its_signal(tmp_path):
    jobs = Jobs(tmp_path / "try", best_at(0.01))
    jobs.start = lambda job, worker: Process(-signal.SIGKILL)
    found = pool(plan(lr="fixed"), tmp_path / "try", jobs)
    found.run(lambda line: None, lambda: None)
    errors = {failure["error"] for failure in content(found)["failures"]}
    assert errors == {"ended by SIGKILL, as the system does where memory runs out"}
    assert len(content(found)["failures"]) == 4


class Waits(Process):
    """Runs until it is told to stop."""

    def __init__(self):
        super().__init__()
        self.told: list[bool] = []

    def code(self):
        return -signal.SIGKILL if True in self.told else None

    def stop(self, *, at_once):
        self.told.append(at_once)


def test_a_signal_is_handed_on_once_and_the_second_ends_the_jobs(tmp_path):
    process = Waits()
    jobs = Jobs(tmp_path / "try", best_at(0.01))
    jobs.start = lambda job, worker: process
    found = pool(plan(lr="fixed"), tmp_path / "try", jobs, n_workers=1)
    signals = iter([signal.SIGTERM, None, signal.SIGTERM])

    def tick():
        number = next(signals, None)
        if number:
            signal.raise_signal(number)

    lines: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    found.run(lines.append, tick)
    assert process.told == [False, True]
    assert found.signum == signal.SIGTERM
    assert lines == ["stopped   norm=a,seed=1"]  # and no second job was begun
    assert signal.getsignal(signal.SIGTERM) == before


def test_another_command_under_the_same_name_is_refused_with_the_difference(tmp_path):
    worked(plan(), tmp_path, best_at(0.01))
    for other, said in (
        (plan(seeds=(1, 2, 3)), "seeds: 1,2 then, 1,2,3 now"),
        (plan("a", "c"), "norm: a,b then, a,c now"),
        (plan(lr="fixed"), "lr: sweep3 then, fixed now"),
        (plan(placebo=True), "placebo: false then, true now"),
    ):
        with pytest.raises(ConfigError, match="choose another name=") as error:
            open_state(tmp_path, other, 1)
        assert said in str(error.value)
    assert open_state(tmp_path, plan(), 1).asked == plan().asked.identity


def test_a_configuration_that_was_edited_is_refused(tmp_path):
    open_state(tmp_path, plan(), 1).write(tmp_path)
    stored = json.loads((tmp_path / JOURNAL).read_text())
    stored["digests"]["norm=b"] = "another"
    (tmp_path / JOURNAL).write_text(json.dumps(stored))
    with pytest.raises(ConfigError, match="configuration of norm=b has changed"):
        open_state(tmp_path, plan(), 1)


def test_a_sweep_is_not_written_into(tmp_path):
    (tmp_path / "norm=a").mkdir()
    RunResult(status="finished").write(tmp_path / "norm=a")
    with pytest.raises(ConfigError, match="holds runs of something else"):
        open_state(tmp_path, plan(), 1)


def test_a_finished_run_of_another_configuration_is_refused(tmp_path):
    RunResult(status="finished", overrides=["norm=a", "seed=1"]).write(tmp_path)
    with pytest.raises(ValueError, match="with seed=1, where this command has seed=2"):
        outcome_of(tmp_path, ["norm=a", "seed=2"], None)
    assert outcome_of(tmp_path, ["seed=1", "norm=a", "resume=auto"], None).state == "finished"


def test_two_commands_at_a_time_are_refused(tmp_path):
    lines: list[str] = []
    locks = Locks(tmp_path, lines.append)
    with pytest.raises(ConfigError, match="being worked on"):
        Locks(tmp_path, lines.append)
    locks.release()
    Locks(tmp_path, lines.append).release()
    assert lines == []


def test_differences_name_what_changed():
    assert differences({"a": 1, "b": {"c": True}}, {"b": {"c": False}, "a": 1}) == [
        "c: true then, false now"
    ]
    assert differences({"a": [1, 2]}, {}) == ["a: 1,2 then, nothing now"]


def test_the_placebo_is_told_in_the_ledger(tmp_path):
    asked = plan(placebo=True)
    done, jobs = worked(asked, tmp_path / "try", best_at(0.01))
    assert content(done)["placebo"] == "placebo"
    assert sum("init_seed" in folder for folder in jobs.begun) == 2


def test_where_every_rate_diverges_the_end_says_so(tmp_path):
    done, jobs = worked(plan(), tmp_path / "try", lambda said, step: None)
    said = content(done)["lr"]
    assert said["chosen"] == {"norm=a": 0.01, "norm=b": 0.01}
    assert said["widened"] == {"norm=a": 3, "norm=b": 3}
    lines = rate_lines(said)
    assert lines[0] == (
        "lr        norm=a: 0.01 (6 tried from 0.000625 to 0.02, widened 3 times; all diverged, so "
        "the configured one stands)"
    )
    assert len(jobs.begun) == 12 + 4
