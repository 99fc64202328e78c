"""Trends over compute: by hand, the verdicts, and their error rates by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lightning_transformer.compare.across.trend import OverSizes, slopes, trends

X = (10.0, 11.0, 12.0)
SURE = (True, True)


def measured(means, spread=0.05, n=5, ends=SURE, x=X):
    """Seeds around these mean effects, the same spread at each size."""
    seeds = np.random.default_rng(0).normal(0, spread, (n, len(means)))
    return OverSizes(x, np.array(means) + seeds - seeds.mean(axis=0), ends)


def test_slopes_are_those_of_scipy_seed_by_seed():
    x, effects = (9.8, 11.0, 12.7, 13.0), np.random.default_rng(1).normal(size=(6, 4))
    expected = [stats.linregress(x, row).slope for row in effects]
    np.testing.assert_allclose(slopes(x, effects), expected, rtol=1e-12)


def test_a_trend_by_hand():
    """Slopes 1, 2 and 3: mean 2, sd 1, t of 2 degrees of freedom 4.302653."""
    effects = np.array([[0.0, 1.0, 2.0], [0.0, 2.0, 4.0], [0.0, 3.0, 6.0]])
    found = trends([OverSizes(X, effects, SURE)], margin=0.5)[0]
    assert found.slope == pytest.approx(2.0)
    assert found.high == pytest.approx(2.0 + 4.302653 / math.sqrt(3), rel=1e-6)
    assert found.low == pytest.approx(2.0 - 4.302653 / math.sqrt(3), rel=1e-6)
    assert (found.first, found.last) == (pytest.approx(0.0), pytest.approx(4.0))
    assert found.n == 3


@pytest.mark.parametrize(
    ("means", "ends", "verdict"),
    [
        ((-0.2, -1.2, -2.2), SURE, "grows"),
        ((-2.2, -1.2, -0.2), SURE, "fades"),
        ((2.0, 1.0, 0.1), (True, False), "fades"),
        ((0.2, 1.2, 2.2), (False, True), "grows"),
        ((-1.0, -1.0, -1.0), SURE, "holds"),
        ((0.0, 0.0, 0.0), (False, False), "holds"),
        ((1.5, 0.0, -1.5), SURE, "reverses"),
        ((1.5, -0.5, -2.5), (False, True), "grows"),  # the sign at one end is not sure
        ((1.5, 0.0, -1.5), (False, False), "unresolved"),
    ],
)
def test_verdicts(means, ends, verdict):
    assert trends([measured(means, ends=ends)], margin=0.5)[0].verdict == verdict


def test_what_is_too_noisy_is_unresolved_with_what_would_have_been_seen():
    found = trends([measured((-1.0, -1.2, -1.4), spread=3.0)], margin=0.5)[0]
    assert found.verdict == "unresolved"
    assert found.detectable is not None
    assert found.detectable > abs(found.slope)


def test_an_effect_that_rises_and_falls_does_not_hold():
    found = trends([measured((0.0, 3.0, 0.0))], margin=0.5)[0]
    assert found.verdict == "unresolved"
    assert found.off_line == pytest.approx(2.0, abs=0.1)
    assert trends([measured((0.0, 0.6, 0.0))], margin=0.5)[0].verdict == "holds"


def test_two_seeds_are_not_tested_and_two_sizes_refused():
    assert trends([measured((0.0, 1.0, 2.0), n=2)], margin=0.5)[0].verdict == "not tested"
    assert trends([measured((0.0, 1.0, 2.0), n=1)], margin=0.5)[0].verdict == "not tested"
    with pytest.raises(ValueError, match="2 sizes: a trend needs at least 3"):
        trends([measured((0.0, 1.0), x=X[:2])], margin=0.5)


def test_holm_is_over_all_variants():
    one = measured((-0.2, -1.2, -2.2), spread=0.5)
    alone = trends([one], margin=0.0)[0].p_holm
    two = [one, measured((0.0, 0.0, 0.0), spread=1.0)]
    assert trends(two, margin=0.0)[0].p_holm == pytest.approx(2 * alone)


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 5])
@pytest.mark.parametrize("spread", [(1.0, 1.0, 1.0), (4.0, 1.0, 0.5), (0.5, 1.0, 4.0)])
@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_error_rates(n, spread, rho):
    """No trend at a constant effect: coverage, and how often one is said to grow or fade.

    Noise differs over sizes by up to eight times; sizes of one seed correlate by rho.
    """
    repeats, rng = 4000, np.random.default_rng(n)
    covered = said = 0
    for _ in range(repeats):
        shared, own = rng.normal(size=(n, 1)), rng.normal(size=(n, 3))
        noise = (math.sqrt(rho) * shared + math.sqrt(1 - rho) * own) * spread
        found = trends([OverSizes((10.0, 10.8, 12.0), -1.0 + noise, (True, True))], margin=0.0)[0]
        covered += found.low <= 0 <= found.high
        said += found.verdict in ("grows", "fades")
    assert covered / repeats >= 0.94
    assert said / repeats <= 0.055 + 2 * math.sqrt(0.05 * 0.95 / repeats)
