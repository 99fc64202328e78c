"""Compute-equivalent gain: the fit against scipy, known truths, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import least_squares

from lightning_transformer.compare.across.gain import fit, gain

COMPUTE = np.array([[1e10, 1e11, 1e12]] * 2)


def losses(e, curves, compute=COMPUTE):
    return np.array([e + a * c**-b for (a, b), c in zip(curves, compute, strict=True)])


def noisy(means, sd, n=5, seed=0):
    rng = np.random.default_rng(seed)
    return means[..., None] + rng.normal(0, sd, (*means.shape, n))


def test_an_exact_power_law_is_found():
    found = fit(np.log(COMPUTE), losses(1.2, [(60, 0.16), (50, 0.15)]))
    assert float(found.e) == pytest.approx(1.2, rel=1e-3)
    np.testing.assert_allclose(found.b, [0.16, 0.15], rtol=2e-3)
    np.testing.assert_allclose(
        found.loss(np.log(COMPUTE)), losses(1.2, [(60, 0.16), (50, 0.15)]), rtol=1e-5
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_fit_is_that_of_least_squares_in_log_loss(seed):
    """scipy's own search over all five parameters finds the same curves."""
    x, y = np.log(COMPUTE), noisy(losses(1.2, [(60, 0.16), (50, 0.15)]), 0.004, seed=seed)
    means, centre = y.mean(axis=-1), x.mean()

    def off(p):
        curves = p[0] + np.exp(p[1:3, None] - p[3:5, None] * (x - centre))
        return (np.log(curves) - np.log(means)).ravel()

    start = [0.9, *np.log(means.mean(axis=1) - 0.9), 0.15, 0.15]
    bounds = ([0] + [-np.inf] * 4, [means.min() * 0.999] + [np.inf] * 4)
    best = least_squares(off, start, bounds=bounds, xtol=1e-14, ftol=1e-14, gtol=1e-14)
    found = fit(x, means)
    expected = best.x[0] + np.exp(best.x[1:3, None] - best.x[3:5, None] * (x - centre))
    np.testing.assert_allclose(found.loss(x), expected, rtol=2e-4)


def test_a_variant_with_less_compute_for_the_same_loss():
    """L(C / 0.8) of the baseline's law: 0.8 times the compute, at any loss."""
    law = losses(1.2, [(60, 0.16), (60 * 0.8**0.16, 0.16)])
    found = gain(COMPUTE, noisy(law, 0.002), margin=0.005)
    assert found.ratio == pytest.approx(0.8, rel=0.04)
    assert found.low < 0.8 < found.high < 1
    assert found.loss == pytest.approx(law[0, -1], rel=0.002)  # the baseline's, the worse
    assert found.compute == pytest.approx(1e12)


def test_a_worse_variant_is_compared_at_its_own_loss():
    law = losses(1.2, [(60, 0.16), (60 * 1.5**0.16, 0.16)])
    found = gain(COMPUTE, noisy(law, 0.001), margin=0.005)
    assert found.ratio == pytest.approx(1.5, rel=0.04)
    assert found.loss == pytest.approx(law[1, -1], rel=0.002)


def test_more_compute_at_an_equal_loss_counts():
    """A variant whose token costs a quarter more, with the losses of the baseline size by size."""
    compute = COMPUTE * [[1.0], [1.25]]
    law = losses(1.2, [(60, 0.16), (60 * 1.25**0.16, 0.16)], compute)
    assert gain(compute, noisy(law, 0.0005), margin=0.005).ratio == pytest.approx(1.25, rel=0.02)


@pytest.mark.parametrize(
    ("law", "why"),
    [
        ([[2.6, 2.2, 1.9], [2.6, 2.5, 1.9]], "the curve of the variant does not fit: off by"),
        ([[2.6, 2.2, 1.9], [1.9, 2.2, 2.6]], "a loss does not fall with compute"),
        ([[2.6, 2.2, 1.9], [1.6, 1.4, 1.25]], "the variant reaches it below the smallest size"),
        ([[1.6, 1.4, 1.25], [2.6, 2.2, 1.9]], "the baseline reaches it below the smallest size"),
        ([[0.1, 0.0, -0.1], [0.1, 0.0, -0.1]], "the curve L = E + a C^-b is one of losses above 0"),
    ],
)
def test_what_does_not_fit_or_is_beyond_the_measured_is_refused_in_words(law, why):
    found = gain(COMPUTE, noisy(np.array(law), 1e-4), margin=0.005)
    assert found.ratio is None
    assert found.why.startswith(why)


def test_two_seeds_give_no_interval():
    law = losses(1.2, [(60, 0.16), (55, 0.16)])
    found = gain(COMPUTE, noisy(law, 0.001, n=2), margin=0.005)
    assert found.ratio is not None
    assert (found.low, found.why) == (None, "needs at least 3 seeds")


@pytest.mark.parametrize(
    ("sd", "n", "e"),
    [
        pytest.param(0.005, 5, 1.2, marks=pytest.mark.slow),
        pytest.param(0.02, 5, 1.2, marks=pytest.mark.thorough),
        pytest.param(0.005, 3, 0.0, marks=pytest.mark.thorough),
    ],
)
def test_intervals_hold_the_true_gain(sd, n, e):
    law = losses(e, [(60, 0.16), (57, 0.16)])
    needed = ((law[0, -1] - e) / 57) ** (-1 / 0.16)
    rng, hits, repeats = np.random.default_rng(n), 0, 400
    for _ in range(repeats):
        shared = rng.normal(0, sd / 2, (1, 1, n))
        y = law[..., None] + shared + rng.normal(0, sd, (2, 3, n))
        found = gain(COMPUTE, y, margin=0.005)
        hits += found.ratio is not None and found.low <= needed / 1e12 <= found.high
    assert hits / repeats >= 0.95 - 2 * math.sqrt(0.05 * 0.95 / repeats)
