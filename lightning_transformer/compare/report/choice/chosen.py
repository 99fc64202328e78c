"""The error of a difference that comes from what each variant was given by its own short runs.

A rate that was chosen from few runs is not the best one. Its excess,

    E = loss(chosen) - least loss over the range,

is bounded by what the fitted curve leaves possible: (b, c) is drawn from the t-distribution of the
fit, given that the curve is a valley (c > 0). Of a tuned key, E is the mean of the chosen value
above the least of the means, which are drawn likewise. The error of a difference is E_v - E_0, in
which the price of a low rate, the same for all, cancels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lightning_transformer.compare.report.choice.rate_curve import RateChoice, choose
from lightning_transformer.compare.report.comparison import RateSearch, TunedKey
from lightning_transformer.compare.report.inference.noise import POWER

DRAWS = 4000
LEAST_DRAWS = 200  # that must be valleys

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Chosen:
    """A source of error (`noise.Source`) by draws.

    Attributes:
        errors: (draws,) their absolute values, ascending, in units of the loss.
    """

    name: str
    errors: Array

    @property
    def se(self) -> float:
        """Half of the 95 % interval over 1.96, because the draws have heavy tails."""
        return self.half(0.05) / 1.959964

    def half(self, level: float) -> float:
        place = (1 - level) * (len(self.errors) - 1)
        below = min(math.floor(place), len(self.errors) - 2)
        part = place - below
        return float((1 - part) * self.errors[below] + part * self.errors[below + 1])

    def p(self, distance: float) -> float:
        return 1 - float(np.searchsorted(self.errors, distance)) / len(self.errors)

    def detectable(self, level: float) -> float:
        return self.half(level) + self.half(2 * (1 - POWER))

    def equal_within(self, level: float) -> float:
        return self.half(min(1.0, 2 * level)) + self.half(1 - POWER)


def choice_of(search: RateSearch, label: str) -> RateChoice | None:
    """The choice of a variant's rate again, from its runs; None where it has made none."""
    if label not in search.chosen or label not in search.runs:
        return None
    losses = {float(rate): values for rate, values in search.runs[label].items()}
    return choose(losses, search.chosen[label])


def sources(search: RateSearch, label: str, baseline: str) -> list[Chosen]:
    """What the choices of two variants add to the error of their difference."""
    choices = [choice_of(search, one) for one in (label, baseline)]
    ours, base = choices
    found = [None if ours is None or base is None else of_rates(ours, base)]
    if search.tuned:
        keys = [list(search.tuned.get(one, {}).values()) for one in (label, baseline)]
        found.append(of_values(*keys))
    return [one for one in found if one is not None]


def not_covered(search: RateSearch, label: str) -> str | None:
    """Why the choice of a variant's rate has no error that could be told; None if it has."""
    if label not in search.chosen:
        return None
    choice = choice_of(search, label)
    if choice is None:
        return "from one run per rate"
    return None if rate_excess(choice, 0) is not None else choice.rule


def of_rates(ours: RateChoice, baseline: RateChoice, name: str = "learning rate") -> Chosen | None:
    """The error by the choice of two rates; None where a curve says nothing about one of them."""
    # Streams of their own, the same in each report: the two choices are independent.
    excesses = [rate_excess(one, stream) for stream, one in enumerate((ours, baseline))]
    if any(excess is None for excess in excesses):
        return None
    return Chosen(name, np.sort(np.abs(excesses[0] - excesses[1])))  # type: ignore[operator]


@lru_cache(maxsize=1024)  # of each variant several times in a report, of the baseline for all
def rate_excess(choice: RateChoice, stream: int) -> Array | None:
    """(draws,) what the loss at the chosen rate may be above the least of the range."""
    curve = choice.fit
    if curve is None:
        return None
    generator = np.random.default_rng(stream)
    n = 4 * DRAWS
    scale = curve.sd * np.sqrt(curve.df / generator.chisquare(curve.df, n))
    noise = np.linalg.cholesky(curve.cov) @ generator.standard_normal((2, n)) * scale
    b, c = curve.slope + noise[0], curve.curvature + noise[1]
    valley = c > 0
    if np.count_nonzero(valley) < LEAST_DRAWS:
        return None
    drawn = generator.choice(np.flatnonzero(valley), DRAWS)
    b, c = b[drawn], c[drawn]
    least = np.clip(-b / (2 * c), curve.low, curve.high)
    x = curve.x(choice.rate)
    excess = (b * x + c * x * x) - (b * least + c * least**2)
    return np.asarray(excess)


def of_values(ours: Sequence[TunedKey], baseline: Sequence[TunedKey]) -> Chosen | None:
    """The error by the choice of tuned values; None where the noise of one is not known."""
    total = np.zeros(DRAWS)
    for sign, keys in ((1, ours), (-1, baseline)):
        for i, one in enumerate(keys):
            drawn = value_excess(one, stream=2 * i + (sign < 0))
            if drawn is None:
                return None
            total += sign * drawn
    return Chosen("tuned values", np.sort(np.abs(total)))


def value_excess(tuned: TunedKey, stream: int) -> Array | None:
    """(draws,) what the chosen value's mean may be above the least, as the noise leaves it.

    The noise is that of the differences within seeds, for runs with two values of a key may be
    nearly the same: (values - 1) (seeds - 1) degrees of freedom.
    """
    trained = {
        value: losses for value, losses in tuned.losses.items() if losses and None not in losses
    }
    if tuned.chosen not in trained:
        return None
    if len(trained) == 1:
        return np.zeros(DRAWS)
    y = np.array(list(trained.values()), dtype=float)  # (values, seeds)
    within = y - y.mean(axis=0) - y.mean(axis=1, keepdims=True) + y.mean()
    squares, df = float(np.sum(within**2)), (y.shape[0] - 1) * (y.shape[1] - 1)
    if df < 1:
        return None
    generator = np.random.default_rng([stream, 1])
    sd = np.sqrt(squares / generator.chisquare(df, DRAWS) / y.shape[1])
    means = y.mean(axis=1)[:, None] + generator.standard_normal((y.shape[0], DRAWS)) * sd
    return np.asarray(means[list(trained).index(tuned.chosen)] - means.min(axis=0))
