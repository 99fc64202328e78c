"""The parabola through the losses over rates, and the rate that is chosen on it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lightning_transformer.compare.report.choice.rate_curve import (
    ALL_DIVERGED,
    FEW_RATES,
    NO_VALLEY,
    ON_CURVE,
    choose,
    fit,
    means_below_divergence,
)

RATES = (0.005, 0.01, 0.02, 0.04)


def losses(generator, rates=RATES, sd=0.02):
    """Two seeds around 2 + .1 (x - .3)^2, x in octaves from .01, with levels of their own."""
    x = np.log2(np.array(rates) / 0.01)
    y = 2 + 0.1 * (x - 0.3) ** 2 + np.array([[0.0], [0.3]])
    noisy = y + generator.normal(0, sd, y.shape)
    return {rate: noisy[:, i].tolist() for i, rate in enumerate(rates)}


def test_it_is_the_least_squares_fit_with_a_level_for_each_seed():
    given = losses(np.random.default_rng(0))
    found = fit(given)
    x = np.log2(np.array(RATES) / found.middle)
    y = np.array(list(given.values()))
    rows, targets = [], []
    for i, seeds in enumerate(y):
        for j, value in enumerate(seeds):
            rows.append([j == 0, j == 1, x[i], x[i] ** 2])
            targets.append(value)
    design = np.array(rows, dtype=float)
    expected, squares, *_ = np.linalg.lstsq(design, np.array(targets), rcond=None)
    assert (found.slope, found.curvature) == pytest.approx(tuple(expected[2:]))
    assert found.level == pytest.approx(expected[:2].mean())
    assert found.df == 8 - 4
    assert found.sd == pytest.approx(math.sqrt(squares[0] / 4))
    np.testing.assert_allclose(found.cov, np.linalg.inv(design.T @ design)[2:, 2:])
    assert found.best == pytest.approx(-found.slope / (2 * found.curvature))


def test_the_lowest_rate_within_a_thousandth_of_the_minimum_is_chosen():
    found = choose(losses(np.random.default_rng(0), sd=0.0), 0.01)
    # The levels are 2 and 2.3, so the best tried mean is 2.15 + .1 * .3^2.
    x = 0.3 - math.sqrt(0.001 * (2.15 + 0.1 * 0.3**2) / 0.1)
    assert found.rate == pytest.approx(0.01 * 2**x, rel=0.005)
    assert found.rate == float(f"{found.rate:.3g}")  # few digits
    assert (found.rule, found.at_edge) == (ON_CURVE, False)
    assert found.price == pytest.approx(0.00216, rel=0.05)


@pytest.mark.parametrize(
    ("given", "rate", "rule", "at_edge"),
    [
        ({1e-3: [2.0, 2.1], 2e-3: [1.9, 2.0]}, 2e-3, FEW_RATES, True),
        ({1e-3: [2.0, 2.1], 2e-3: [1.9, 2.0], 4e-3: [1.8, None]}, 2e-3, FEW_RATES, False),
        ({1e-3: [2.0, 2.1], 2e-3: [2.2, 2.3], 4e-3: [1.9, 2.0]}, 4e-3, NO_VALLEY, True),
        ({1e-3: [2.0, 2.0], 2e-3: [2.0, 2.0], 4e-3: [2.0, 2.0]}, 1e-3, NO_VALLEY, True),
        ({1e-3: [None], 2e-3: [None]}, 1e-2, ALL_DIVERGED, True),
    ],
)
def test_where_there_is_no_curve_the_rule_is_said(given, rate, rule, at_edge):
    found = choose(given, 1e-2)
    assert (found.rate, found.rule, found.at_edge, found.price) == (rate, rule, at_edge, None)


def test_a_minimum_beyond_the_tried_rates_is_at_the_edge_and_not_outside():
    given = {2.0**x: [3 + 0.1 * (x - 4) ** 2 + s for s in (0, 0.1)] for x in (-1, 0, 1)}
    found = choose(given, 1.0)
    assert found.at_edge
    assert 1.9 < found.rate <= 2.0


def test_a_rate_that_diverged_ends_the_range_from_above_and_not_from_below():
    given = {0.5: [2.0, 2.0], 1.0: [1.9, 1.9], 2.0: [1.8, None], 4.0: [1.7, 1.7], 0.25: [None]}
    assert set(means_below_divergence(given)) == {0.5, 1.0, 2.0, 4.0} - {2.0}
    given[4.0] = [2.7, 2.7]
    assert set(means_below_divergence(given)) == {0.5, 1.0}


def test_a_cliff_is_left_out_of_the_curve():
    """Without that the parabola would choose a rate below those that train well."""
    smooth = {2.0**x: 2 + 0.1 * (x - 1) ** 2 for x in (-1, 0, 1, 2)}
    noise = np.random.default_rng(1).normal(0, 0.002, (5, 2))
    given = {rate: (loss + noise[i]).tolist() for i, (rate, loss) in enumerate(smooth.items())}
    whole = fit(given)
    assert whole.rate(whole.high) == pytest.approx(4.0)
    given[8.0] = [6.0, 6.1]
    found = fit(given)
    assert found.rate(found.high) == pytest.approx(4.0)
    assert found.best == pytest.approx(whole.best)
    assert 1.5 < choose(given, 1.0).rate < 2.1
