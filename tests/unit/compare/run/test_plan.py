"""What a comparison runs next, as a function of what has been run."""

from __future__ import annotations

import math

import pytest

from lightning_transformer.compare.run.outcome import Outcome
from lightning_transformer.compare.run.request import RANKING_SEEDS, SCREENING_SEEDS
from lightning_transformer.compare.run.search.screening import screening_job
from tests.unit.compare.run.fake_jobs import as_dict, finished, plan


def test_screening_runs_have_seeds_of_their_own_and_a_quarter_of_the_budget():
    asked = plan()
    jobs = asked.todo({})
    assert len(jobs) == 24
    for job in jobs:
        overrides = as_dict(job)
        assert job.screening
        assert int(overrides["seed"]) in SCREENING_SEEDS
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
    """Outcomes after which every variant takes a rate just below this factor."""
    losses = {f: 1.0 + 0.5 * math.log2(f / factor) ** 2 for f in (factor / 2, factor, factor * 2)}
    losses |= {f: 1.0 + 0.5 * math.log2(f / factor) ** 2 for f in (0.5, 1.0, 2.0)}
    return {
        screening_job(variant, f, seed, 0).key: finished(loss)
        for variant in plan.screened
        for f, loss in losses.items()
        for seed in SCREENING_SEEDS
    }


def test_reporting_runs_are_paired_and_interleaved_by_seed():
    asked = plan("a", "b", "c", seeds=(4, 7))
    jobs = asked.todo(chosen(asked))
    assert [job.folder for job in jobs] == [f"norm={n},seed={s}" for s in (4, 7) for n in "abc"]
    (rate,) = {float(as_dict(job)["optimizer.lr"]) for job in jobs}
    assert rate == pytest.approx(0.02 * 2 ** -math.sqrt(0.001 / 0.5), rel=0.01)
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
    assert placebo == base  # the rate too, where its own screening finds the same
    elsewhere = chosen(asked) | {
        screening_job(asked.by_label["placebo"], 4.0, seed, 0).key: finished(0.5)
        for seed in SCREENING_SEEDS
    }
    rates = {job.label: as_dict(job).get("optimizer.lr") for job in asked.todo(elsewhere)}
    assert rates["placebo"] != rates["norm=a"]
    assert len(set(draws)) == 2  # a draw for each seed
    assert len({job.folder for job in jobs}) == len(jobs) == 6


def paused(plan, losses, rung=0):
    """Outcomes of all ranking runs at a rung, by label."""
    found = {}
    for variant in plan.variants:
        if variant.label.removeprefix("norm=") in losses:
            for seed in RANKING_SEEDS:
                loss = losses[variant.label.removeprefix("norm=")]
                key = plan.ranking_job(variant, seed, rung, ()).key
                found[key] = Outcome("diverged") if loss is None else Outcome("paused", loss)
    return found


def test_contenders_are_ranked_by_seeds_that_are_not_reported():
    asked = plan("a", "b", "c", "d", steps=90, lr="fixed", halving=3)
    jobs = asked.todo({})
    ranking = [job for job in jobs if job.until is not None]
    assert {job.until for job in ranking} == {30}
    assert {job.label for job in ranking} == {"norm=b", "norm=c", "norm=d"}
    assert {int(as_dict(job)["seed"]) for job in ranking} == set(RANKING_SEEDS)
    assert not set(RANKING_SEEDS) & set(asked.request.seeds)
    assert {job.folder.split("/")[0] for job in ranking} == {"ranking"}
    # The baseline is never stopped, so its reported runs need not wait; they do not pause.
    reported = [job for job in jobs if job.until is None]
    assert {job.label for job in reported} == {"norm=a"}
    assert not any("pause" in text for job in reported for text in job.overrides)


def test_the_rung_waits_for_all_contenders_and_those_that_are_left_are_reported():
    asked = plan("a", "b", "c", "d", steps=90, lr="fixed", halving=3)
    most = paused(asked, {"b": 2.0, "c": 1.0})
    assert {job.label for job in asked.todo(most)} == {"norm=a", "norm=d"}
    assert (asked.stopped(most), asked.stage(most)) == ({}, "ranking")
    everything = most | paused(asked, {"d": None})
    assert {label: stop.step for label, stop in asked.stopped(everything).items()} == {
        "norm=b": 30,
        "norm=d": 30,
    }
    assert asked.stage(everything) == "runs"
    jobs = asked.todo(everything)
    assert {(job.label, job.until, job.steps) for job in jobs} == {
        ("norm=a", None, 90),
        ("norm=c", None, 90),
    }
    assert {int(as_dict(job)["seed"]) for job in jobs} == {1, 2}
    assert {job.key for job in asked.rest(everything)} == {job.key for job in jobs}


def test_the_same_ranking_run_goes_on_to_the_second_rung():
    asked = plan("a", "b", "c", "d", "e", steps=90, val_every=10, lr="fixed", halving=3)
    first = paused(asked, {"b": 1.0, "c": 2.0, "d": 3.0, "e": 4.0})
    jobs = [job for job in asked.todo(first) if job.until is not None]
    assert {(job.label, job.until) for job in jobs} == {("norm=b", 30), ("norm=c", 30)}
    assert {job.folder for job in jobs} <= {key[0] for key in first}
    overrides = as_dict(jobs[0])
    assert (overrides["callbacks.pause.step"], overrides["trainer.max_steps"]) == ("30", "90")


def test_a_ranking_run_that_diverged_before_a_rung_is_not_gone_on_with():
    asked = plan("a", "b", "c", steps=90, lr="fixed", halving=3)
    outcomes = paused(asked, {"b": None, "c": None})
    assert {job.label for job in asked.todo(outcomes)} == {"norm=a", "norm=b"}
    assert set(asked.stopped(outcomes)) == {"norm=c"}
