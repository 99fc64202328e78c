"""The sources of error of a mean difference, and the interval that holds all of them.

Seeds, test documents and the choice of a learning rate each move a difference, independently of
one another. An interval of the level a has half the width

    h(a) = sqrt(h_1(a)^2 + h_2(a)^2 + ..)

with h_i that of source i alone (MOVER: Zou and Donner 2008; of one source it is that source's
own interval). p is the level at which the interval reaches the value that is tested.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from scipy.special import nctdtrinc, ndtri, stdtr, stdtrit

POWER = 0.8
SMALLEST_P = 1e-12  # of what is found by a search


class Source(Protocol):
    """One source of error.

    Attributes:
        name: ``seeds``, ``documents``, ``learning rate``.
        se: standard error that it gives the difference, in units of the metric.
    """

    @property
    def name(self) -> str: ...

    @property
    def se(self) -> float: ...

    def half(self, level: float) -> float:
        """Half of the interval that misses with the probability level, on both sides together."""

    def p(self, distance: float) -> float:
        """The level, from 0 to 1, at which half the interval is the distance, which is >= 0."""

    def detectable(self, level: float) -> float:
        """The difference of which the interval excludes zero with a probability of 80 %."""

    def equal_within(self, level: float) -> float:
        """The margin that holds two one-sided intervals around no difference, 80 % of times."""


@dataclass(frozen=True)
class Student:
    """An error with the distribution of t (Student 1908); df infinite: of the normal."""

    name: str
    se: float
    df: float

    def half(self, level: float) -> float:
        return _critical(self.df, level / 2) * self.se

    def p(self, distance: float) -> float:
        return float(2 * stdtr(self.df, -distance / self.se)) if self.se else float(not distance)

    def detectable(self, level: float) -> float:
        return noncentrality(self.df, _critical(self.df, level / 2), 1 - POWER) * self.se

    def equal_within(self, level: float) -> float:
        return noncentrality(self.df, _critical(self.df, level), (1 - POWER) / 2) * self.se


def half(sources: Sequence[Source], level: float) -> float:
    """Half of the interval that holds all sources."""
    return math.hypot(*(source.half(level) for source in sources))


def p_value(sources: Sequence[Source], distance: float) -> float:
    """Two-sided p of a true difference that is so far from the one that was seen."""
    if len(sources) == 1:
        return sources[0].p(distance)
    if half(sources, 1.0) >= distance:
        return 1.0
    if half(sources, SMALLEST_P) <= distance:
        return SMALLEST_P

    from scipy.optimize import brentq  # only here, because it takes a third of a second

    def excess(log_level: float) -> float:
        return half(sources, math.exp(log_level)) - distance

    return math.exp(brentq(excess, math.log(SMALLEST_P), 0.0, xtol=1e-10))


def detectable(sources: Sequence[Source], level: float) -> float:
    """The difference of which the interval excludes zero with a probability of 80 %."""
    return math.hypot(*(source.detectable(level) for source in sources))


def equal_within(sources: Sequence[Source], level: float) -> float:
    """The margin within which two variants that do not differ are called equal, 80 % of times."""
    return math.hypot(*(source.equal_within(level) for source in sources))


def _critical(df: float, level: float) -> float:
    """The value that t exceeds with the probability level."""
    return float(-ndtri(level) if math.isinf(df) else stdtrit(df, 1 - level))


@cache  # the same for all variants of a table; found by a search
def noncentrality(df: float, critical: float, miss: float) -> float:
    """Of a t that stays below a critical value with the probability miss (Cohen 1988)."""
    if math.isinf(df):
        return float(critical - ndtri(miss))
    return float(nctdtrinc(df, miss, critical))
