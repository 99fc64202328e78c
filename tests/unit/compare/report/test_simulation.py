"""Error rates and power by simulation. Seeds are fixed, so that nothing here is left to chance."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from lightning_transformer.compare.report.inference.statistics import paired_effects
from tests.unit.compare.report.simulation import REPEATS, Case, simulate

GRID = list(itertools.product((2, 3, 6), (3, 5, 8), (0.0, 0.5, 0.9)))


def error(rate: float, count: int = REPEATS) -> float:
    """Standard error of a share."""
    return math.sqrt(rate * (1 - rate) / count)


@pytest.mark.parametrize(("k", "n", "rho"), GRID)
def test_false_positives_are_as_rare_as_promised(k: int, n: int, rho: float) -> None:
    """Within three standard errors of 5 %; Holm may err on the safe side."""
    rates = simulate(Case(k, n, rho))
    assert rates.family <= 0.05 + 3 * error(0.05)
    # Comparisons of one table share their baseline: as if there were half as many or fewer.
    assert abs(rates.single - 0.05) <= 3 * error(0.05)
    assert abs(rates.covered - 0.95) <= 3 * error(0.05)


@pytest.mark.parametrize("noise", [{"last": 5.0}, {"baseline": 2.0}, {"baseline": 5.0}])
@pytest.mark.parametrize(("k", "n"), [(3, 3), (3, 8), (6, 3), (6, 5)])
def test_unequal_noise_changes_nothing(k: int, n: int, noise: dict[str, float]) -> None:
    """One pool of noise errs in up to 18 % of tables here."""
    rates = simulate(Case(k, n, **noise))
    assert rates.family <= 0.05 + 3 * error(0.05)
    assert abs(rates.single - 0.05) <= 3 * error(0.05)


# To find two standard deviations of a run, at a correlation of 0.5: paired t, simulated before.
POWER = {(3, 3): 0.30, (3, 5): 0.81, (6, 3): 0.12, (6, 5): 0.55, (6, 8): 0.95}


@pytest.mark.parametrize(("k", "n"), POWER)
def test_power_is_that_of_a_paired_test(k: int, n: int) -> None:
    found = simulate(Case(k, n, effect=2.0)).found
    assert abs(found - POWER[k, n]) <= 0.02 + 3 * error(POWER[k, n])


def test_a_noisy_variant_costs_the_others_no_power() -> None:
    alone = simulate(Case(6, 8, effect=2.0)).found
    assert abs(simulate(Case(6, 8, effect=2.0, last=5.0)).found - alone) <= 0.03


def test_equal_is_rarely_said_of_what_differs_by_the_bound() -> None:
    """Two one-sided tests at 5 %: at the bound itself the verdict is wrong once in twenty."""
    rates = simulate(Case(2, 8, 0.9, effect=0.5), margin=0.5)
    assert rates.equal <= 0.05 + 3 * error(0.05)
    assert simulate(Case(2, 8, 0.9), margin=1.0).equal > 0.9


def test_a_placebo_and_a_large_difference() -> None:
    nothing = simulate(Case(3, 5, 0.9), margin=0.05, repeats=500)
    assert nothing.family <= 0.05 + 3 * error(0.05, 500)
    assert simulate(Case(3, 5, 0.9, effect=3.0), margin=0.05, repeats=500).found == 1.0


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("sd", [0.25, 0.5, 1.0])
def test_a_difference_within_the_margin_is_rarely_called_one_beyond(n: int, sd: float) -> None:
    """At .9 of the margin; the point estimate alone lies beyond in 10 to 37 % and more."""
    d = np.random.default_rng(n).normal(0.9, sd, (1000, 1, n))
    said = [paired_effects(x, margin=1.0)[0].verdict for x in d]
    assert np.mean([verdict in ("better", "worse") for verdict in said]) <= 0.025 + 3 * error(
        0.025, 1000
    )


@pytest.mark.parametrize("k", [4, 8])
def test_no_more_than_one_table_in_twenty_calls_any_variant_falsely_equal(k: int) -> None:
    """All at the edge of the margin: .12 to .25 of tables without Holm."""
    d = np.random.default_rng(k).normal(1.0, 0.3, (1000, k, 8))
    said = ("equal", "smaller than the margin")
    any_equal = [any(e.verdict in said for e in paired_effects(x, margin=1.0)) for x in d]
    assert np.mean(any_equal) <= 0.05 + 3 * error(0.05, 1000)
