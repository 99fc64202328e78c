"""The choice of learning rates from short runs, and the rungs of successive halving."""

from __future__ import annotations

import math

import pytest

from lightning_transformer.compare.report.comparison import EarlyStop
from lightning_transformer.compare.run.lr_search import Halving, screening, screening_job
from lightning_transformer.compare.run.outcome import Outcome, outcome_of
from lightning_transformer.runs.result import RunResult
from tests.unit.compare.run.fake_jobs import finished, plan


def screened(variant, losses):
    """Outcomes of screening runs by factor; then what is known of the variant."""
    outcomes = {
        screening_job(variant, factor, 0).key: Outcome("diverged")
        if loss is None
        else finished(loss)
        for factor, loss in losses.items()
    }
    return screening(variant, outcomes)


def test_the_best_rate_on_val_is_chosen_where_it_is_inside():
    asked = plan()
    found = screened(asked.baseline, {0.5: 2.0, 1.0: 1.5, 2.0: 1.8})
    assert (found.chosen, found.pending, found.at_edge, found.start_loss) == (1.0, (), False, 5.0)


@pytest.mark.parametrize(
    ("losses", "next_factor"),
    [
        ({0.5: 1.0, 1.0: 1.5, 2.0: 1.8}, 0.25),
        ({0.5: 2.0, 1.0: 1.5, 2.0: 1.2}, 4.0),
        ({0.5: 2.0, 1.0: 1.5, 2.0: 1.2, 4.0: 1.1}, 8.0),
        ({0.5: 1.5, 1.0: 1.5, 2.0: 1.5}, 0.25),  # a tie goes to the lower rate
        ({0.5: None, 1.0: None, 2.0: None}, 0.25),  # all diverge: lower
        ({0.5: 6.0, 1.0: 5.5, 2.0: 7.0}, 0.25),  # a loss above that of guessing is divergence
    ],
)
def test_the_range_is_widened_where_the_best_is_at_its_edge(losses, next_factor):
    asked = plan()
    found = screened(asked.baseline, losses)
    assert (found.chosen, found.pending) == (None, (next_factor,))


def test_widening_ends_after_three_times_and_says_so():
    asked = plan()
    losses = {0.5: 2.0, 1.0: 1.9, 2.0: 1.8, 4.0: 1.7, 8.0: 1.6, 16.0: 1.5}
    found = screened(asked.baseline, losses)
    assert (found.chosen, found.pending, found.at_edge) == (16.0, (), True)


def test_a_diverged_rate_is_the_worst():
    asked = plan()
    found = screened(asked.baseline, {0.5: 4.9, 1.0: 4.0, 2.0: None})
    assert (found.chosen, found.losses[2.0]) == (1.0, None)


def test_where_all_rates_diverge_the_configured_one_is_reported():
    asked = plan()
    losses = dict.fromkeys((0.5, 1.0, 2.0, 0.25, 0.125, 0.0625))
    assert screened(asked.baseline, losses).chosen == 1.0


def sized(steps, val_every):
    return plan(steps=steps, val_every=val_every).baseline


def test_rungs_are_multiples_of_the_validations_and_below_the_budget():
    two, one, none = Halving(3, 4), Halving(3, 3), Halving(None, 4)
    assert two.rungs(sized(90, 10)) == [10, 30, None]
    assert two.rungs(sized(800, 25)) == [100, 275, None]
    assert two.rungs(sized(10, 10)) == [1, 3, None]
    assert two.rungs(sized(1, 1)) == [None]
    assert one.rungs(sized(90, 10)) == [30, None]
    assert none.rungs(sized(90, 10)) == [None]
    assert two.val_every(sized(800, 200)) == 88
    assert none.val_every(sized(800, 200)) == 200
    assert (one.n_rungs, two.n_rungs) == (1, 2)


def test_halving_keeps_the_best_third():
    losses = {"a": 3.0, "b": math.inf, "c": 1.0, "d": 2.0}
    stopped = Halving(3, 4).stopped_at(losses, dict.fromkeys(losses, 30))
    end = "of 4; 2 went on, the last of them with 2.0000"
    assert stopped == {
        "a": EarlyStop(30, f"val/loss 3.0000 at step 30 is rank 3 {end}"),
        "b": EarlyStop(30, f"diverged or failed at step 30 is rank 4 {end}"),
    }


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
