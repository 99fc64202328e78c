"""Whether an effect grows, holds, fades or reverses with scale.

e_is is the difference from the baseline at size i and seed s, in percent of the baseline's mean
there, x_i the size's log10 of compute. Each seed has a slope of its own, b_s = sum_i (x_i - mean x)
e_is / sum_i (x_i - mean x)^2, in points per decade of compute; the trend is their mean, with a
t-interval (Student 1908). So it holds whatever the noise of each size is, and however sizes of one
seed hang together. docs/design/statistics.md has the simulated error rates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from lightning_transformer.compare.report.inference.statistics import (
    ALPHA,
    ENOUGH,
    Effect,
    paired_effects,
)

SIZES = 3  # that a trend needs
WITHIN = ("equal", "smaller than the margin")  # verdicts on a slope that is surely within it

Array = NDArray[np.float64]


@dataclass(frozen=True)
class OverSizes:
    """The effect of one variant over sizes.

    Attributes:
        x: log10 of the compute of each size, ascending.
        effects: (n_seeds, n_sizes), in percent, of the seeds that all sizes have.
        ends: whether the effect at the smallest and at the largest size is surely not zero, after
            Holm over the variants.
    """

    x: Sequence[float]
    effects: Array
    ends: tuple[bool, bool]


@dataclass(frozen=True)
class Trend:
    """How an effect moves with compute.

    Attributes:
        slope: points of percent per decade of compute.
        low, high: its 95 % interval.
        p_holm: two-sided, adjusted for all variants.
        n: seeds.
        detectable: the slope that would have been seen with a power of 80 %.
        first, last: the effect at the smallest and at the largest size, on the fitted line.
        off_line: the largest deviation of a size's mean effect from the line, where it surely
            exceeds the margin; else None. Then no trend is said to hold.
        verdict: ``grows``, ``holds``, ``fades``, ``reverses``, ``unresolved``; ``not tested``.
    """

    slope: float
    low: float | None
    high: float | None
    p_holm: float | None
    n: int
    detectable: float | None
    first: float
    last: float
    off_line: float | None
    verdict: str


def slopes(x: Sequence[float], effects: Array) -> Array:
    """The slope of each row of effects over x."""
    centred = np.asarray(x, dtype=float) - np.mean(x)
    found: Array = effects @ centred / (centred @ centred)
    return found


def trends(measured: Sequence[OverSizes], *, margin: float) -> list[Trend]:
    """The trend of each variant, Holm over all of them.

    margin: in points per decade of compute; a slope that is surely within it is none.

    Raises ValueError for fewer than three sizes, or sizes of one compute.
    """
    for one in measured:
        if len(one.x) < SIZES or len(set(one.x)) < len(one.x):
            raise ValueError(f"{len(set(one.x))} sizes: a trend needs at least {SIZES}")
    found = paired_effects([slopes(one.x, one.effects) for one in measured], margin=margin)
    return [_trend(one, slope, margin) for one, slope in zip(measured, found, strict=True)]


def _trend(one: OverSizes, slope: Effect, margin: float) -> Trend:
    middle = float(one.effects.mean())
    first, last = (middle + slope.delta * float(x - np.mean(one.x)) for x in (one.x[0], one.x[-1]))
    tested = slope.n >= ENOUGH and slope.detectable is not None
    off_line = _off_line(one, margin) if tested else None
    return Trend(
        slope=slope.delta,
        low=slope.low,
        high=slope.high,
        p_holm=slope.p_holm,
        n=slope.n,
        detectable=None if slope.detectable is None else slope.detectable - margin,
        first=first,
        last=last,
        off_line=off_line,
        verdict=_verdict(one, slope, (first, last), off_line) if tested else "not tested",
    )


def _off_line(one: OverSizes, margin: float) -> float | None:
    """Mean deviation of the size that is farthest off the line, if surely beyond the margin.

    Each seed's effects have a line of their own; Bonferroni over the sizes.
    """
    centred = np.asarray(one.x) - np.mean(one.x)
    lines = one.effects.mean(axis=1)[:, None] + slopes(one.x, one.effects)[:, None] * centred
    off = one.effects - lines
    n, k = off.shape
    half = stdtrit(n - 1.0, 1 - ALPHA / (2 * k)) * off.std(axis=0, ddof=1) / math.sqrt(n)
    means = off.mean(axis=0)
    size = int((np.abs(means) - half).argmax())
    return float(means[size]) if abs(means[size]) - half[size] > margin else None


def _verdict(
    one: OverSizes, slope: Effect, fitted: tuple[float, float], off_line: float | None
) -> str:
    """``reverses`` if both ends are sure and of opposite signs; else by the slope."""
    first, last = fitted
    at_ends = one.effects[:, 0].mean(), one.effects[:, -1].mean()
    if all(one.ends) and at_ends[0] * at_ends[1] < 0:
        return "reverses"
    if slope.verdict in WITHIN:
        return "holds" if off_line is None else "unresolved"
    if slope.p_holm is None or not slope.p_holm < ALPHA:
        return "unresolved"
    if first * last < 0:  # then the end that is sure tells what became of it
        return {(True, False): "fades", (False, True): "grows"}.get(one.ends, "unresolved")
    return "grows" if abs(last) > abs(first) else "fades"
