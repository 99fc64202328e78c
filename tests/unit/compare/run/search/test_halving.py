"""The rungs of successive halving, and who is stopped at them."""

from __future__ import annotations

import math

from lightning_transformer.compare.report.comparison import EarlyStop
from lightning_transformer.compare.run.search.halving import Halving
from tests.unit.compare.run.fake_jobs import plan
from tests.unit.compare.run.search.simulation import simulate


def sized(steps, val_every):
    return plan(steps=steps, val_every=val_every).baseline


def test_rungs_are_multiples_of_the_validations_and_below_the_budget():
    two, one, none = Halving(3, 4), Halving(3, 3), Halving(None, 4)
    assert two.rungs(sized(90, 10)) == [10, 30]
    assert two.rungs(sized(800, 25)) == [100, 275]
    assert two.rungs(sized(10, 10)) == [1, 3]
    assert two.rungs(sized(1, 1)) == []
    assert one.rungs(sized(90, 10)) == [30]
    assert none.rungs(sized(90, 10)) == []
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


def test_contenders_ranked_by_other_seeds_are_found_more_often_for_less():
    """Nine of them, one better by two standard deviations; docs/design/statistics.md."""
    others, same = simulate(9, 2.0, 5, 3, 300), simulate(9, 2.0, 5, None, 300)
    assert others.found > same.found + 0.2
    assert others.cost < same.cost
    null = simulate(9, 0.0, 5, 3, 300)
    assert null.false <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
