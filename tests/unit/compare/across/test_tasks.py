"""One answer over several tasks: against scipy, by hand, and coverage by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lightning_transformer.compare.across.tasks import (
    interquartile_mean,
    pooled_mean,
    probability_of_improvement,
    profile,
)


@pytest.mark.parametrize("n", [4, 5, 10, 15, 31])
def test_the_interquartile_mean_is_a_trimmed_one(n):
    scores = np.random.default_rng(n).normal(size=n)
    assert interquartile_mean(scores) == pytest.approx(stats.trim_mean(scores, 0.25))


def test_a_task_far_off_does_not_carry_the_interquartile_mean():
    near, far = np.full(5, 1.0), np.full(5, 100.0)
    assert interquartile_mean(np.concatenate([near, near, near, far])) == 1.0


def test_the_probability_of_improvement_counts_all_pairs_and_halves_ties():
    """(2, 3) against (1, 2): 3 of 4 pairs and a tie; the second task is lost."""
    ours, theirs = np.array([2.0, 3.0]), np.array([1.0, 2.0])
    found, low, high = probability_of_improvement([ours, theirs], [theirs, ours + 10])
    assert found == pytest.approx((3.5 / 4 + 0) / 2)
    exact = stats.beta.ppf([0.025, 0.975], [1.75, 2.75], [3.25, 2.25])
    assert (low, high) == (pytest.approx(exact[0]), pytest.approx(exact[1]))


def test_winning_all_pairs_is_no_certainty():
    ours, theirs = [np.arange(5.0) + 10] * 3, [np.arange(5.0)] * 3
    found, low, high = probability_of_improvement(ours, theirs)
    assert (found, high) == (1.0, 1.0)
    assert low == pytest.approx(0.025 ** (1 / 15))
    lost = probability_of_improvement(theirs, ours)
    assert lost == (0.0, 0.0, pytest.approx(1 - low))


def test_a_profile_is_the_share_of_runs_above_each_value():
    scores = [np.array([0.0, 1.0]), np.array([2.0, 3.0, 4.0, 5.0])]
    found = profile(scores, np.array([-1.0, 0.5, 2.5, 9.0]))
    assert found.share == pytest.approx([1.0, (0.5 + 1.0) / 2, (0.0 + 0.75) / 2, 0.0])
    bands = zip(found.low, found.share, found.high, strict=True)
    assert all(low <= share <= high for low, share, high in bands)


@pytest.mark.slow
@pytest.mark.parametrize("means", [(0.0, 0.0, 0.0), (0.0, 5.0, -5.0), (0.0, 0.5, 3.0, 3.2)])
@pytest.mark.parametrize("n", [3, 5])
def test_intervals_hold_the_true_interquartile_mean(means, n):
    """The truth is the mean of the estimate over many tables of as many seeds."""
    rng, repeats = np.random.default_rng(n), 600
    many = rng.normal(np.array(means)[:, None], 1.0, (20000, len(means), n))
    truth = float(interquartile_mean(many.reshape(20000, -1)).mean())
    hits = 0
    for _ in range(repeats):
        _, low, high = pooled_mean(list(rng.normal(np.array(means)[:, None], 1.0, (len(means), n))))
        hits += low <= truth <= high
    assert hits / repeats >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / repeats)
