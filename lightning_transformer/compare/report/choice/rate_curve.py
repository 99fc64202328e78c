"""The loss over learning rates as a parabola, and the rate that is chosen on it.

    loss(x, s) = a_s + b x + c x^2,    x = log2(rate / the middle of those that were tried)

with a level a_s of its own for each screening seed s, fitted by least squares. The noise of single
runs moves the curve less than it moves their minimum, and the residuals tell how much. A rate at
which a run diverged bounds the range from above; ends that bend the curve too far are left out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

TOLERANCE = 0.001  # of the loss, what a lower rate may cost: a fifth of the margin
DIGITS = 3  # of a chosen rate: steps of 1 % and less
LEAST_RATES = 3  # of a parabola
FLAT = 1e-9  # of the loss per octave squared: less is rounding
MISFIT = 0.01  # a lack of fit with this p is one
ON_CURVE = "the lowest rate within 0.1 % of the fitted minimum"
FEW_RATES = "the best tried rate, because fewer than three trained"
NO_VALLEY = "the best tried rate, because the losses have no minimum over the rates"
ALL_DIVERGED = "the configured rate, because all that were tried diverged"

Array = NDArray[np.float64]
Losses = Mapping[float, Sequence[float | None]]  # rate to validation loss by seed; None = diverged


@dataclass(frozen=True)
class RateFit:
    """A parabola with its error.

    Attributes:
        middle: the rate of x = 0.
        low, high: x of the lowest and the highest rate.
        level, slope, curvature: a, the mean over the seeds; b; c, per octave squared.
        sd: of single runs around the curve.
        df: degrees of freedom of sd: runs - seeds - 2.
        cov: of (b, c) for sd = 1.
    """

    middle: float
    low: float
    high: float
    level: float
    slope: float
    curvature: float
    sd: float
    df: int
    cov: tuple[tuple[float, float], tuple[float, float]]

    def x(self, rate: float) -> float:
        """Octaves from the middle."""
        return math.log2(rate / self.middle)

    def rate(self, x: float) -> float:
        return float(self.middle * 2.0**x)

    def loss(self, x: float) -> float:
        """Its mean over the seeds."""
        return self.level + self.slope * x + self.curvature * x * x

    @property
    def best(self) -> float | None:
        """x of the minimum within the range; None where the curve is no valley."""
        if self.curvature <= FLAT * abs(self.level):
            return None
        return min(max(-self.slope / (2 * self.curvature), self.low), self.high)

    def lowest_within(self, tolerance: float) -> float | None:
        """The lowest x in the range with a loss of at most the tolerance above the minimum."""
        best = self.best
        if best is None:
            return None
        top = -self.slope / (2 * self.curvature)  # may lie outside of the range
        reach = math.sqrt((best - top) ** 2 + tolerance / self.curvature)
        return max(top - reach, self.low)


@dataclass(frozen=True)
class RateChoice:
    """A learning rate and how it was chosen.

    Attributes:
        rate: with three significant digits.
        rule: how, in words.
        at_edge: whether the best may lie outside of the rates that were tried.
        price: expected loss above the minimum of the curve.
        fit: the curve; also where the rate is not on it, if there is one.
    """

    rate: float
    rule: str
    at_edge: bool
    price: float | None = None
    fit: RateFit | None = None


def choose(losses: Losses, configured: float) -> RateChoice:
    """The rate for these screening runs; configured: where none trained.

    The lowest rate whose expected loss is within the tolerance of the minimum: runs drift apart at
    high rates. The tolerance is a share of the loss, the same for all variants, so that its price
    is too.
    """
    trained = means_below_divergence(losses)
    if not trained:
        return RateChoice(configured, ALL_DIVERGED, at_edge=True)
    tried = min(trained, key=lambda rate: (trained[rate], rate))
    at_edge = tried in (min(losses), max(losses))
    curve = fit({rate: losses[rate] for rate in trained})
    if curve is None:
        return RateChoice(tried, FEW_RATES, at_edge)
    x = curve.lowest_within(TOLERANCE * abs(trained[tried]))
    if x is None or curve.best is None:
        return RateChoice(tried, NO_VALLEY, at_edge, fit=curve)
    x = curve.x(_rounded(curve.rate(x), curve.rate(curve.low), curve.rate(curve.high)))
    # Below a rate that diverged the curve ends where training does: that is no edge of the search.
    ends = {curve.low: min(losses), curve.high: max(losses)}
    at_edge = curve.best in ends and math.isclose(curve.rate(curve.best), ends[curve.best])
    price = curve.loss(x) - curve.loss(curve.best)
    return RateChoice(significant(curve.rate(x)), ON_CURVE, at_edge, price, curve)


def means_below_divergence(losses: Losses) -> dict[float, float]:
    """Rate to mean loss over the seeds, of the rates below the first that diverged above the best.

    A rate counts as diverged if one of its runs did.
    """
    means = {
        rate: sum(values) / len(values)  # type: ignore[arg-type]
        for rate, values in losses.items()
        if values and None not in values
    }
    if not means:
        return {}
    best = min(means, key=lambda rate: (means[rate], rate))
    bound = min((rate for rate in losses if rate not in means and rate > best), default=math.inf)
    return {rate: mean for rate, mean in means.items() if rate < bound}


def fit(losses: Losses) -> RateFit | None:
    """The parabola through runs that all trained; None with fewer than three rates, or one seed.

    While more than three rates are left that no parabola fits (F-test of the means against the
    scatter within rates), the end with the higher loss is left out: beyond some rate the loss rises
    like a cliff.
    """
    kept = {rate: np.array(values, dtype=float) for rate, values in sorted(losses.items())}
    while len(kept) > LEAST_RATES and _misfit(kept) < MISFIT:
        del kept[max(min(kept), max(kept), key=lambda rate: kept[rate].mean())]
    if len(kept) < LEAST_RATES or len(next(iter(kept.values()))) < 2:
        return None
    return _least_squares(kept)


def _least_squares(losses: Mapping[float, Array]) -> RateFit:
    rates, y = list(losses), np.stack(list(losses.values()))  # (rates, seeds)
    middle = math.sqrt(rates[0] * rates[-1])
    x = np.log2(np.array(rates) / middle)
    n_rates, n_seeds = y.shape
    # All seeds have all rates: slope and curvature are those of the means over the seeds.
    design = np.stack([np.ones(n_rates), x, x * x], axis=1)
    inverse = np.linalg.inv(design.T @ design)
    level, slope, curvature = inverse @ design.T @ y.mean(axis=1)
    residuals = y - (design @ [level, slope, curvature])[:, None]
    residuals -= residuals.mean(axis=0)
    df = n_rates * n_seeds - n_seeds - 2
    slopes, curvatures = (inverse[1:, 1:] / n_seeds).tolist()
    return RateFit(
        middle=middle,
        low=float(x[0]),
        high=float(x[-1]),
        level=float(level),
        slope=float(slope),
        curvature=float(curvature),
        sd=float(np.sqrt(np.sum(residuals**2) / df)),
        df=df,
        cov=(tuple(slopes), tuple(curvatures)),
    )


def _misfit(losses: Mapping[float, Array]) -> float:
    """p of means this far from a parabola, by the scatter of the runs at one rate."""
    y = np.stack(list(losses.values()))
    curve = _least_squares(losses)
    within = y - y.mean(axis=0) - y.mean(axis=1, keepdims=True) + y.mean()
    df_within = (y.shape[0] - 1) * (y.shape[1] - 1)
    ss_within = float(np.sum(within**2))
    ss_lack = max(curve.sd**2 * curve.df - ss_within, 0.0)
    if not df_within or not ss_within:
        return 1.0 if ss_lack < 1e-12 else 0.0
    df_lack = y.shape[0] - LEAST_RATES
    return float(fdtrc(df_lack, df_within, (ss_lack / df_lack) / (ss_within / df_within)))


def _rounded(rate: float, low: float, high: float) -> float:
    """With few digits, and within the range."""
    return min(max(float(f"{rate:.{DIGITS}g}"), low), high)


def significant(number: float) -> float:
    """Without the last digits, in which a product differs from what one would type."""
    return float(f"{number:.10g}")
