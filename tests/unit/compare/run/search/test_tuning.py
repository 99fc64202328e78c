"""Tuned keys: after the rate, one after the other, from runs that are not reported."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lightning_transformer.compare.run.outcome import Outcome
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.compare.run.request import TUNING_SEEDS
from lightning_transformer.compare.run.search.record import rate_lines
from lightning_transformer.compare.run.search.settings import n_search_runs
from lightning_transformer.compare.run.search.tuning import tuning
from tests.unit.compare.run.fake_jobs import as_dict, finished, plan, worked
from tests.unit.compare.run.test_scheduler import best_at, content

TUNED = {"optimizer.weight_decay": ("0", "0.1"), "schedule.warmup_steps": ("8", "16")}


def tuned_plan(**changes):
    asked = plan(**changes)
    return Plan(asked.request, [replace(one, tuned=TUNED) for one in asked.variants])


def answered(variant, losses):
    """Tuning after runs with these losses by key and value, as many keys as it asks for."""
    outcomes = {}
    while (found := tuning(variant, 1.0, outcomes, 0)).pending:
        (key,) = found.trying
        for job in found.pending:
            value = as_dict(job)[key]
            value = {"2": "8", "4": "16"}.get(value, value)  # a quarter, as the budget is
            loss = losses[value]
            outcomes[job.key] = Outcome("diverged") if loss is None else finished(loss)
    return found


def test_each_value_is_tried_with_each_seed_and_the_lowest_mean_is_chosen():
    variant = tuned_plan().baseline
    jobs = tuning(variant, 2.0, {}, 0).pending
    assert len(jobs) == 2 * len(TUNING_SEEDS)
    assert {as_dict(job)["optimizer.weight_decay"] for job in jobs} == {"0", "0.1"}
    assert {as_dict(job)["optimizer.lr"] for job in jobs} == {"0.02"}
    assert {as_dict(job)["schedule.warmup_steps"] for job in jobs} == {"2"}
    assert {as_dict(job)["trainer.max_steps"] for job in jobs} == {"20"}
    assert all(job.screening and job.folder.startswith("screening/") for job in jobs)
    found = answered(variant, {"0": 2.0, "0.1": 1.5, "8": 1.0, "16": None})
    assert found.values == {"optimizer.weight_decay": "0.1", "schedule.warmup_steps": "8"}
    assert found.keys["schedule.warmup_steps"].losses["16"] == [None] * len(TUNING_SEEDS)


def test_a_tie_goes_to_the_value_that_was_typed_first():
    found = answered(tuned_plan().baseline, dict.fromkeys(("0", "0.1", "8", "16"), 2.0))
    assert list(found.values.values()) == ["0", "8"]


@pytest.mark.parametrize("changes", [{}, {"lr": "fixed"}, {"placebo": True}])
def test_reported_runs_take_what_was_chosen(tmp_path, changes):
    def loss(overrides, step):
        better = overrides["optimizer.weight_decay"] == "0.1"
        return best_at(0.01)(overrides, step) - 0.2 * better

    asked = tuned_plan(**changes)
    expected = len(asked.rest({}))
    assert expected == sum(map(n_search_runs, asked.variants)) + 2 * len(asked.variants)
    done, jobs = worked(asked, tmp_path / "try", loss)
    # The second key's runs with its first value are those that won for the first key.
    again = len(TUNING_SEEDS) * len(asked.variants)
    assert len(jobs.begun) == len(set(jobs.begun)) == expected - again
    found = content(done)
    assert found.stage == "done"
    for variant in asked.variants:
        keys = found.lr.tuned[variant.label]
        assert [one.chosen for one in keys.values()] == ["0.1", "8"]
    reported = [job for job in jobs.begun if "/" not in job]
    assert len(reported) == 2 * len(asked.variants)
    jobs = [asked.job(asked.baseline, 1, asked.settings(asked.baseline, done.outcomes).overrides)]
    assert {"optimizer.weight_decay=0.1", "schedule.warmup_steps=8"} <= set(jobs[0].overrides)
    lines = rate_lines(found.lr)
    assert any(line.startswith("tune      norm=a: optimizer.weight_decay=0.1") for line in lines)
