"""Critical values of t for a test that is repeated while seeds are added.

A t-test at 5 % after each seed from 3 to 20 calls 23 % of equal variants different. Here the looks
share the error: after n seeds the part f(n) of the level has been spent (Lan and DeMets 1983), so
that the chance of a false alarm at any look, however many follow, is the level. The interval with
these critical values holds the truth at all looks at once (Jennison and Turnbull 1989), hence at
the one at which the comparison ends, whatever made it end.

The critical values are those of t itself and not of a normal approximation. Without a difference
v_n = sum x / sqrt(sum x^2) is a Markov chain: v_{n+1} = v_n cos a + sin a, the density of the
angle a proportional to cos^{n-1} a, and t_n = v_n sqrt(n - 1) / sqrt(n - v_n^2).
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from lightning_transformer.compare.report.comparison import Looks
from lightning_transformer.compare.report.inference.noise import POWER, noncentrality

PLANNED = 0.9  # of the level is spent within the planned seeds, the rest on later ones
SPENDING = 1.5  # power of the share of seeds: 1 ends earlier, 2 finds smaller differences
SCORES = np.linspace(
    5.0, 0.0, 41
)  # of the levels, from 6e-7 to 1, that critical values are kept of
EDGES = np.linspace(0.0, 7.0, 121)  # of |t|, as normal scores: |t| at z has the p of |z|
LEVELS = 2 * ndtr(-SCORES)
CENTERS = (EDGES[:-1] + EDGES[1:]) / 2
Array = NDArray[np.float64]


@dataclass(frozen=True)
class SequentialSeeds:
    """The error of a mean over n seeds that has been looked at before; see `noise.Source`."""

    se: float
    n: int
    looks: Looks
    name: str = "seeds"

    def half(self, level: float) -> float:
        return critical_t(self.looks, self.n, level) * self.se

    def p(self, distance: float) -> float:
        return level_of(self.looks, self.n, distance / self.se)

    def detectable(self, level: float) -> float:
        bar = critical_t(self.looks, self.n, level)
        return noncentrality(self.n - 1.0, bar, 1 - POWER) * self.se

    def equal_within(self, level: float) -> float:
        bar = critical_t(self.looks, self.n, 2 * level)
        return noncentrality(self.n - 1.0, bar, (1 - POWER) / 2) * self.se


def spent(looks: Looks, n: int) -> float:
    """The part of the level that is spent after n seeds."""
    if n < looks.first:
        return 0.0
    if n > looks.planned:
        return 1.0 - (1.0 - PLANNED) * looks.planned / n
    share = (n - looks.first + 1) / (looks.planned - looks.first + 1)
    return PLANNED * float(share**SPENDING)


def critical_t(looks: Looks, n: int, level: float) -> float:
    """|t| after n seeds, from the first look on, beyond which two variants differ at a level."""
    scores = critical_scores(looks, max(n, looks.planned))[n]
    return float(_t_of(np.interp(_score(min(level, 1.0)), SCORES[::-1], scores[::-1]), n))


def level_of(looks: Looks, n: int, t: float) -> float:
    """The level at which |t| is critical after n seeds: p, with all looks counted."""
    scores = critical_scores(looks, max(n, looks.planned))[n]
    score = np.interp(-ndtri(stdtr(n - 1.0, -t)), scores[::-1], SCORES[::-1])
    return float(2 * ndtr(-score))


@cache
def critical_scores(looks: Looks, last: int) -> dict[int, Array]:
    """Critical values up to `last` seeds: of each number of seeds, for each of LEVELS.

    As normal scores, by a recursion over the distribution of t among the comparisons that are
    still open, for all levels at once.
    """
    found = {}
    above = np.tile(2 * ndtr(-EDGES), (len(LEVELS), 1))  # P(open before, and |t| > edge)
    for n in range(looks.first, last + 1):
        part = LEVELS * (spent(looks, n) - spent(looks, n - 1))
        found[n] = np.array([
            np.interp(_score(p), _score(row), EDGES)
            for p, row in zip(part, above, strict=True)
        ])  # fmt: skip
        left = np.maximum(above, part[:, None])
        above = (left[:, :-1] - left[:, 1:]) @ _transition(n)
    return found


def _transition(n: int) -> Array:
    """P(|t_{n+1}| > edge), given that |t_n| is at a center: (centers, edges)."""
    v, y = (_v_of(z, k)[:, None] for z, k in ((CENTERS, n), (EDGES, n + 1)))
    y = y.T
    radius, shift = np.sqrt(1 + v * v), np.arctan(v)  # v cos a + sin a = radius sin(a + shift)
    turn = np.arcsin(np.minimum(y / radius, 1.0))
    upper = _angle(n, np.pi - turn - shift) - _angle(n, turn - shift)
    lower = _angle(n, -turn - shift) - _angle(n, turn - shift - np.pi)
    return np.asarray(upper + lower)


def _angle(n: int, a: Array) -> Array:
    """Distribution function of the angle: sqrt(n) tan a is a t of n degrees of freedom."""
    inside = np.clip(a, -np.pi / 2, np.pi / 2)
    return np.asarray(stdtr(n, math.sqrt(n) * np.tan(inside)))


def _score(p: Any) -> Any:
    """The normal score that is exceeded, on either side, with the probability p."""
    return -ndtri(np.maximum(p, 1e-300) / 2)


def _t_of(z: Any, n: int) -> Array:
    return np.asarray(-stdtrit(n - 1.0, ndtr(-z)))


def _v_of(z: Array, n: int) -> Array:
    t = _t_of(z, n)
    return np.asarray(math.sqrt(n) * t / np.sqrt(n - 1 + t * t))
