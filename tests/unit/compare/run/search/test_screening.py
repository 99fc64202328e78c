"""The choice of learning rates from short runs of two seeds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from lightning_transformer.compare.report.choice.rate_curve import (
    ALL_DIVERGED,
    FEW_RATES,
    ON_CURVE,
)
from lightning_transformer.compare.run.outcome import Outcome, outcome_of
from lightning_transformer.compare.run.request import SCREENING_SEEDS
from lightning_transformer.compare.run.search.screening import (
    factor_of,
    screening,
    screening_job,
)
from lightning_transformer.runs.result import RunResult
from tests.unit.compare.run.fake_jobs import finished, plan


def screened(variant, losses):
    """What is known of a variant after these losses: factor to that of all seeds, or one each."""
    outcomes = {}
    for factor, given in losses.items():
        row = given if isinstance(given, tuple) else (given,) * len(SCREENING_SEEDS)
        for seed, loss in zip(SCREENING_SEEDS, row, strict=True):
            outcome = Outcome("diverged") if loss is None else finished(loss)
            outcomes[screening_job(variant, factor, seed, 0).key] = outcome
    return screening(variant, outcomes)


def both(factor):
    return tuple((factor, seed) for seed in SCREENING_SEEDS)


def test_the_rate_is_chosen_on_the_curve_where_the_best_is_inside():
    # 1.5 + .4 x^2 + .1 x with x in octaves: the minimum is at -1/8 octave, 0.1 % lower is chosen.
    losses = {2.0**x: 1.5 + 0.4 * x * x + 0.1 * x for x in (-1, 0, 1)}
    found = screened(plan().baseline, losses)
    assert (found.pending, found.widened, found.start_loss) == ((), 0, 5.0)
    x = -0.125 - math.sqrt(0.001 * 1.5 / 0.4)
    assert found.choice.rate == pytest.approx(0.01 * 2**x, rel=0.01)
    assert (found.choice.rule, found.choice.at_edge) == (ON_CURVE, False)
    assert found.choice.price == pytest.approx(0.0015, abs=1e-4)
    assert factor_of(plan().baseline, found.choice) * 0.01 == pytest.approx(found.choice.rate)


@pytest.mark.parametrize(
    ("losses", "next_factor"),
    [
        ({0.5: 1.0, 1.0: 1.5, 2.0: 1.8}, 0.25),
        ({0.5: 2.0, 1.0: 1.5, 2.0: 1.2}, 4.0),
        ({0.5: 2.0, 1.0: 1.5, 2.0: 1.2, 4.0: 1.1}, 8.0),
        ({0.5: 1.5, 1.0: 1.5, 2.0: 1.5}, 0.25),  # a tie goes to the lower rate
        ({0.5: 2.0, 1.0: (1.2, 1.7) * 2, 2.0: 1.4}, 4.0),  # by the mean of the seeds
        ({0.5: None, 1.0: None, 2.0: None}, 0.25),  # all diverge: lower
        ({0.5: 6.0, 1.0: 5.5, 2.0: 7.0}, 0.25),  # a loss above that of guessing is divergence
        ({0.5: 4.9, 1.0: 4.0, 2.0: (3.0, None, 3.0, 3.0)}, 0.25),  # three rates for a curve
    ],
)
def test_the_range_is_widened_where_the_best_is_at_its_edge(losses, next_factor):
    found = screened(plan().baseline, losses)
    assert (found.choice, found.pending) == (None, both(next_factor))


def test_widening_ends_after_three_times_and_says_so():
    losses = {0.5: 2.0, 1.0: 1.9, 2.0: 1.8, 4.0: 1.7, 8.0: 1.6, 16.0: 1.5}
    found = screened(plan().baseline, losses)
    assert (found.choice.at_edge, found.pending, found.widened) == (True, (), 3)
    assert found.choice.rate == pytest.approx(0.16)


def test_a_rate_that_one_seed_diverges_at_is_not_tried_with_the_next_and_ends_the_range():
    variant = plan().baseline
    first = {screening_job(variant, 2.0, SCREENING_SEEDS[0], 0).key: Outcome("diverged")}
    assert (2.0, SCREENING_SEEDS[1]) not in screening(variant, first).pending
    # Of jobs side by side the second may end first: the one before it is still asked for.
    second = {screening_job(variant, 2.0, SCREENING_SEEDS[1], 0).key: Outcome("diverged")}
    asked = [seed for factor, seed in screening(variant, second).pending if factor == 2.0]
    assert asked == [SCREENING_SEEDS[0]]
    losses = {0.25: 4.5, 0.5: 4.2, 1.0: 4.0, 2.0: (3.0, None, 3.0, 3.0)}
    found = screened(variant, losses)
    assert found.losses[2.0] == [3.0, None]
    assert found.choice.rate <= 0.01
    assert not found.choice.at_edge  # a rate beyond was tried, and diverged


def test_where_all_rates_diverge_the_configured_one_is_used_and_said():
    losses = dict.fromkeys((0.5, 1.0, 2.0, 0.25, 0.125, 0.0625))
    found = screened(plan().baseline, losses)
    assert (found.choice.rate, found.choice.rule) == (0.01, ALL_DIVERGED)
    assert factor_of(plan().baseline, found.choice) == 1.0


def test_a_grid_is_tried_as_it_is_and_not_widened():
    variant = replace(plan().baseline, grid=(0.002, 0.02))
    assert screening(variant, {}).pending == (*both(0.2), *both(2.0))
    job = screening_job(variant, 0.2, 9001, 0)
    assert {"optimizer.lr=0.002", "optimizer.muon_lr=0.02"} <= set(job.overrides)
    found = screened(variant, {0.2: 2.0, 2.0: 1.5})
    assert (found.choice.rate, found.choice.rule, found.choice.at_edge) == (0.02, FEW_RATES, True)


def test_the_placebo_screens_with_initial_weights_of_its_own():
    asked = plan(placebo=True)
    base, placebo = (
        screening_job(asked.by_label[one], 1.0, 9001, 0) for one in ("norm=a", "placebo")
    )
    assert base.folder != placebo.folder
    assert set(placebo.overrides) - set(base.overrides) == {"init_seed=1009001"}


def test_over_fitting_is_no_divergence_and_a_loss_above_guessing_is(tmp_path):
    """By the level that the run has recorded, whatever it logged first."""
    for name, training, expected in (("fits", [2.0, 0.1], False), ("fails", [2.0, 9.0], True)):
        folder = tmp_path / name
        folder.mkdir()
        result = RunResult(status="finished", metrics={"val/loss": 6.3}, chance={"val/loss": 2.08})
        result.write(folder)
        rows = "".join(f"{step},{loss}\n" for step, loss in enumerate(training, start=1))
        (folder / "metrics.csv").write_text("step,train/loss\n" + rows)
        outcome = outcome_of(folder, [], None)
        assert outcome.diverged == expected
        assert math.isinf(outcome.rank_loss) == expected
