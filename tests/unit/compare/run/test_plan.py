"""What a comparison runs next, as a function of what has been run."""

from __future__ import annotations

import pytest

from lightning_transformer.compare.run.lr_search import screening_job
from lightning_transformer.compare.run.outcome import Outcome
from lightning_transformer.compare.run.request import SCREENING_SEED
from tests.unit.compare.run.fake_jobs import as_dict, finished, plan


def test_screening_runs_have_a_seed_of_their_own_and_a_quarter_of_the_budget():
    asked = plan()
    jobs = asked.todo({})
    assert len(jobs) == 6
    for job in jobs:
        overrides = as_dict(job)
        assert job.screening
        assert int(overrides["seed"]) == SCREENING_SEED
        assert int(overrides["seed"]) not in asked.request.seeds
        assert (overrides["trainer.max_steps"], overrides["schedule.warmup_steps"]) == ("20", "2")
        assert job.overrides.count("trainer.max_steps=20") == 1
    rates = {(as_dict(j)["norm"], float(as_dict(j)["optimizer.lr"])) for j in jobs}
    assert rates == {(norm, rate) for norm in "ab" for rate in (0.005, 0.01, 0.02)}
    # The rates of an optimizer with two keep their ratio.
    for job in jobs:
        overrides = as_dict(job)
        assert float(overrides["optimizer.muon_lr"]) == pytest.approx(
            10 * float(overrides["optimizer.lr"])
        )


def chosen(plan, factor=2.0):
    """Outcomes after which every variant takes this factor."""
    losses = {factor / 2: 2.0, factor: 1.0, factor * 2: 2.0, 0.5: 2.0, 1.0: 1.9, 2.0: 1.8}
    losses[factor] = 1.0
    return {
        screening_job(variant, f, 0).key: finished(loss)
        for variant in plan.screened
        for f, loss in losses.items()
    }


def test_reporting_runs_are_paired_and_interleaved_by_seed():
    asked = plan("a", "b", "c", seeds=(4, 7))
    jobs = asked.todo(chosen(asked))
    assert [job.folder for job in jobs] == [f"norm={n},seed={s}" for s in (4, 7) for n in "abc"]
    assert {as_dict(job)["optimizer.lr"] for job in jobs} == {"0.02"}
    assert {job.steps for job in jobs} == {80}
    assert not any("warmup" in text for job in jobs for text in job.overrides)


def test_a_variant_whose_rate_is_known_need_not_wait_for_others():
    asked = plan()
    outcomes = {k: v for k, v in chosen(asked).items() if "norm=a" in k[0]}
    jobs = asked.todo(outcomes)
    assert {job.label for job in jobs if job.screening} == {"norm=b"}
    assert {job.label for job in jobs if not job.screening} == {"norm=a"}
    assert [job.screening for job in jobs] == sorted((j.screening for j in jobs), reverse=True)


def test_fixed_rates_are_left_as_they_are():
    asked = plan(lr="fixed")
    jobs = asked.todo({})
    assert len(jobs) == 4
    assert not any("lr" in key for job in jobs for key in as_dict(job))


def test_the_placebo_differs_from_the_baseline_in_its_draw_alone():
    asked = plan(placebo=True)
    jobs = asked.todo(chosen(asked))
    base = [as_dict(job) for job in jobs if job.label == "norm=a"]
    placebo = [as_dict(job) for job in jobs if job.label == "placebo"]
    draws = [overrides.pop("init_seed") for overrides in placebo]
    assert placebo == base  # the baseline's rate too
    assert len(set(draws)) == 2  # a draw for each seed
    assert len({job.folder for job in jobs}) == len(jobs) == 6


def paused(plan, losses, rung=0):
    """Outcomes of all seeds at a rung, by label."""
    found = {}
    for variant in plan.variants:
        if variant.label.removeprefix("norm=") in losses:
            for seed in plan.request.seeds:
                loss = losses[variant.label.removeprefix("norm=")]
                key = plan.job(variant, seed, rung, 1.0).key
                found[key] = Outcome("diverged") if loss is None else Outcome("paused", loss)
    return found


def test_the_rung_waits_for_all_runs_and_the_baseline_is_never_stopped():
    asked = plan("a", "b", "c", "d", steps=90, lr="fixed", halving=3)
    assert {job.until for job in asked.todo({})} == {30}
    most = paused(asked, {"a": 9.0, "b": 2.0, "c": 1.0})
    assert {job.label for job in asked.todo(most)} == {"norm=d"}
    assert asked.stopped(most) == {}
    everything = most | paused(asked, {"d": None})
    assert {label: stop.step for label, stop in asked.stopped(everything).items()} == {
        "norm=b": 30,
        "norm=d": 30,
    }
    jobs = asked.todo(everything)
    assert {(job.label, job.until, job.steps) for job in jobs} == {
        ("norm=a", None, 90),
        ("norm=c", None, 90),
    }
    # The same run in the same folder, to another step of the same schedule.
    overrides = as_dict(jobs[0])
    assert (overrides["callbacks.pause.step"], overrides["trainer.max_steps"]) == ("90", "90")
    assert jobs[0].folder == "norm=a,seed=1"


def test_a_run_that_diverged_before_a_rung_is_not_gone_on_with():
    asked = plan("a", "b", "c", steps=90, lr="fixed", halving=3)
    outcomes = paused(asked, {"a": 1.0, "b": None, "c": None})
    assert {job.label for job in asked.todo(outcomes)} == {"norm=a"}
    assert set(asked.stopped(outcomes)) == {"norm=c"}
