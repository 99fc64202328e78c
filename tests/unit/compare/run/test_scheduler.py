"""Doing what a plan asks for: once, again where it failed, and from where it was left."""

from __future__ import annotations

import json
import signal

import pytest

from lightning_transformer.compare.report.comparison import FailedJob, MatchResult
from lightning_transformer.compare.run import scheduler
from lightning_transformer.compare.run.outcome import outcome_of
from lightning_transformer.compare.run.search.record import rate_lines
from lightning_transformer.compare.run.state import (
    STATE_FILE,
    comparison_of,
    locked,
    open_state,
)
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.result import RunResult
from tests.unit.compare.run.fake_jobs import Jobs, Process, plan, pool, worked


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch):
    monkeypatch.setattr(scheduler, "POLL_SECONDS", 0.0)


def best_at(rate):
    """A loss that is smallest at this learning rate, and smaller for norm=b."""

    def loss(overrides, step):
        distance = abs(float(overrides.get("optimizer.lr", rate)) / rate - 1)
        return 1.0 + distance + (overrides["norm"] == "a") * 0.5 + int(overrides["seed"]) * 1e-4

    return loss


def content(pool):
    return comparison_of(pool.plan, pool.outcomes, pool.failures, MatchResult())


def test_everything_is_done_once(tmp_path):
    done, jobs = worked(plan(), tmp_path / "try", best_at(0.01))
    assert len(jobs.begun) == len(set(jobs.begun)) == 24 + 4
    found = content(done)
    assert found.stage == "done"
    for rate in found.lr.chosen.values():
        assert 0.005 < rate <= 0.01
    assert found.lr.seeds == [9001, 9002, 9003, 9004]
    assert [len(losses) for losses in found.lr.runs["norm=a"].values()] == [4, 4, 4]
    assert set(found.lr.price) == set(found.lr.excess) == {"norm=a", "norm=b"}
    assert set(found.lr.screening["norm=a"]) == {"0.005", "0.01", "0.02"}
    assert found.lr.loss_at_init == {"norm=a": 5.0, "norm=b": 5.0}
    assert (found.failures, found.stopped, found.by) == ([], {}, ["norm"])


def test_what_is_finished_is_not_repeated(tmp_path):
    worked(plan(), tmp_path / "try", best_at(0.01))
    again, jobs = worked(plan(), tmp_path / "try", best_at(0.01))
    assert jobs.begun == []
    assert content(again).stage == "done"


def test_a_start_between_any_two_jobs_gives_the_same_comparison(tmp_path):
    asked = plan("a", "b", "c", "d", steps=90, halving=3)
    through, jobs = worked(asked, tmp_path / "through", best_at(0.04))
    assert any(key[1] == 30 for key in through.outcomes)
    assert any(key[0].startswith("ranking/") for key in through.outcomes)
    n = len(jobs.begun)
    for kill_at in range(0, n, 9):
        folder = tmp_path / str(kill_at)
        first = Jobs(folder, best_at(0.04))
        before = pool(asked, folder, n_workers=1)
        before.load_outcomes()
        for _ in range(kill_at):
            job = asked.todo(before.outcomes)[0]
            first.start(job, 0)
            before.load_outcomes()
        after, rest = worked(asked, folder, best_at(0.04))
        assert content(after) == content(through)
        assert len(rest.begun) + kill_at == n


def test_a_rate_that_diverges_is_neither_chosen_nor_tried_again(tmp_path):
    def loss(overrides, step):
        return (
            None
            if float(overrides["optimizer.lr"]) > 0.015
            else 1.0 / float(overrides["optimizer.lr"])
        )

    done, jobs = worked(plan(), tmp_path / "try", loss)
    found = content(done)
    assert found.lr.screening["norm=a"]["0.02"] is None
    assert found.lr.runs["norm=a"]["0.02"] == [None]  # not with the second seed too
    assert found.lr.chosen["norm=a"] == pytest.approx(0.01, rel=0.01)
    assert len(jobs.begun) == len(set(jobs.begun))
    assert found.failures == []


def test_a_reporting_run_that_diverges_is_kept_as_such(tmp_path):
    def loss(overrides, step):
        return (
            None
            if overrides["norm"] == "b" and overrides["seed"] == "2"
            else best_at(0.01)(overrides, step)
        )

    done, jobs = worked(plan(), tmp_path / "try", loss)
    assert done.outcomes["norm=b,seed=2", None].diverged
    assert jobs.begun.count("norm=b,seed=2") == 1
    assert content(done).stage == "done"
    _, jobs = worked(plan(), tmp_path / "try", loss)
    assert jobs.begun == []


@pytest.mark.parametrize(("times", "begun", "failures"), [(1, 2, 0), (9, 2, 1)])
def test_a_failed_job_is_tried_once_more_and_then_reported(tmp_path, times, begun, failures):
    jobs = Jobs(tmp_path / "try", best_at(0.01), broken={"norm=b,seed=1": times})
    lines: list[str] = []
    found = pool(plan(lr="fixed"), tmp_path / "try")
    found.run(jobs.start, lines.append, lambda: None)
    assert jobs.begun.count("norm=b,seed=1") == begun
    assert jobs.begun[-1] == "norm=b,seed=1"  # after all others
    given_up = content(found).failures
    assert len(given_up) == failures
    if failures:
        assert given_up == [FailedJob("norm=b,seed=1", "the machine broke", 2)]
        assert lines[-1] == "given up  norm=b,seed=1: the machine broke"
    # A new start gives it another chance.
    again, jobs = worked(plan(lr="fixed"), tmp_path / "try", best_at(0.01))
    assert jobs.begun == (["norm=b,seed=1"] if failures else [])
    assert content(again).failures == []


def test_a_refused_configuration_is_not_tried_again(tmp_path):
    jobs = Jobs(tmp_path / "try", best_at(0.01))
    begun: list[str] = []

    def start(job, worker):
        begun.append(job.folder)
        return Process(2, "error: unknown key nrm")

    jobs.start = start
    found = pool(plan(lr="fixed"), tmp_path / "try")
    lines: list[str] = []
    found.run(jobs.start, lines.append, lambda: None)
    assert len(begun) == len(set(begun)) == 4
    assert lines[0] == "given up  norm=a,seed=1: unknown key nrm"
    assert {(one.error, one.attempts) for one in content(found).failures} == {
        ("unknown key nrm", 1)
    }


def test_the_error_of_a_killed_job_names_its_signal(tmp_path):
    jobs = Jobs(tmp_path / "try", best_at(0.01))
    jobs.start = lambda job, worker: Process(-signal.SIGKILL)
    found = pool(plan(lr="fixed"), tmp_path / "try")
    found.run(jobs.start, lambda line: None, lambda: None)
    errors = {failure.error for failure in content(found).failures}
    assert errors == {"ended by SIGKILL, as the system does where memory runs out"}
    assert len(content(found).failures) == 4


class Waits(Process):
    """Runs until it is stopped."""

    def __init__(self):
        super().__init__()
        self.stops: list[bool] = []

    def code(self):
        return -signal.SIGKILL if True in self.stops else None

    def stop(self, *, at_once):
        self.stops.append(at_once)


def test_a_signal_is_handed_on_once_and_the_second_ends_the_jobs(tmp_path):
    process = Waits()
    jobs = Jobs(tmp_path / "try", best_at(0.01))
    jobs.start = lambda job, worker: process
    found = pool(plan(lr="fixed"), tmp_path / "try", n_workers=1)
    signals = iter([signal.SIGTERM, None, signal.SIGTERM])

    def tick():
        number = next(signals, None)
        if number:
            signal.raise_signal(number)

    lines: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    found.run(jobs.start, lines.append, tick)
    assert process.stops == [False, True]
    assert found.signum == signal.SIGTERM
    assert lines == ["stopped   norm=a,seed=1"]  # and no second job was begun
    assert signal.getsignal(signal.SIGTERM) == before


def test_another_command_under_the_same_name_is_refused_with_the_difference(tmp_path):
    worked(plan(), tmp_path, best_at(0.01))
    for other, message in (
        (plan(seeds=(2, 1)), "seeds: 1,2 then, 2,1 now"),
        (plan("a", "c"), "norm: a,b then, a,c now"),
        (plan(lr="fixed"), "lr: sweep3 then, fixed now"),
    ):
        with pytest.raises(ConfigError, match="choose another name=") as error:
            open_state(tmp_path, other, 1)
        assert message in str(error.value)
    assert open_state(tmp_path, plan(), 1).asked == plan().request.identity


def test_a_configuration_that_was_edited_is_refused(tmp_path):
    open_state(tmp_path, plan(), 1).write(tmp_path)
    stored = json.loads((tmp_path / STATE_FILE).read_text())
    stored["digests"]["norm=b"] = "another"
    (tmp_path / STATE_FILE).write_text(json.dumps(stored))
    with pytest.raises(ConfigError, match="configuration of norm=b has changed"):
        open_state(tmp_path, plan(), 1)


def test_a_sweep_is_not_written_into(tmp_path):
    (tmp_path / "norm=a").mkdir()
    RunResult(status="finished").write(tmp_path / "norm=a")
    with pytest.raises(ConfigError, match="holds other runs"):
        open_state(tmp_path, plan(), 1)


def test_a_finished_run_of_another_configuration_is_refused(tmp_path):
    RunResult(status="finished", overrides=["norm=a", "seed=1"]).write(tmp_path)
    with pytest.raises(ValueError, match="with seed=1, where this command has seed=2"):
        outcome_of(tmp_path, ["norm=a", "seed=2"], None)
    assert outcome_of(tmp_path, ["seed=1", "norm=a", "resume=auto"], None).state == "finished"


def test_a_run_that_stopped_early_has_ended_at_every_later_rung(tmp_path):
    result = RunResult(status="finished", steps=15, metrics={"val/loss": 2.0}, stopped_early="x")
    result.write(tmp_path)
    (tmp_path / "metrics.csv").write_text("step,seconds,val/loss\n10,1.0,2.5\n15,1.5,2.0\n")
    paused = outcome_of(tmp_path, [], 10)
    assert (paused.state, paused.loss) == ("paused", 2.5)
    ended = outcome_of(tmp_path, [], 20)
    assert (ended.state, ended.loss, ended.step) == ("finished", 2.0, 15)


def test_two_commands_at_a_time_are_refused(tmp_path):
    lines: list[str] = []
    with (
        locked(tmp_path, lines.append),
        pytest.raises(ConfigError, match="another compare run is working"),
        locked(tmp_path, lines.append),
    ):
        pass
    with locked(tmp_path, lines.append):
        pass
    assert lines == []


def test_the_placebo_is_in_the_comparison(tmp_path):
    asked = plan(placebo=True)
    done, jobs = worked(asked, tmp_path / "try", best_at(0.01))
    assert content(done).placebo == "placebo"
    assert sum("init_seed" in folder for folder in jobs.begun) == 12 + 2


def test_where_every_rate_diverges_the_end_says_so(tmp_path):
    done, jobs = worked(plan(), tmp_path / "try", lambda overrides, step: None)
    found = content(done).lr
    assert found.chosen == {"norm=a": 0.01, "norm=b": 0.01}
    assert found.widened == {"norm=a": 3, "norm=b": 3}
    lines = rate_lines(found)
    assert lines[0] == (
        "lr        norm=a: 0.01 (6 tried from 0.000625 to 0.02, widened 3 times; the configured "
        "rate, because all that were tried diverged; the best may lie beyond the rates that were "
        "tried)"
    )
    assert len(jobs.begun) == 12 + 4
