"""Compute-equivalent gain: with how much of the compute does a variant reach the same loss?

The mean losses of baseline and variant over sizes are fitted by L(C) = E + a C^-b (Hoffmann et al.
2022), each with its own a and b > 0. E, the entropy of the text, is a property of the data and so
the same for both: three sizes would fit three parameters exactly.

The gain is C_variant(L) / C_baseline(L) at the worse of their two losses at the largest size, the
only one of the two that both curves reach within what was measured. Nothing is extrapolated.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from lightning_transformer.compare.report.inference.statistics import ALPHA, ENOUGH

RESAMPLES = 500
GRID, ROUNDS = 21, 5  # values of E that are tried, each round between the neighbours of the best
HIGHEST = 0.999  # of the lowest loss: above E

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """L(C) = e + a C^-b for each of several curves, with e in common.

    Leading axes are those of the losses that were fitted: e (..), log_a and b (.., n_curves).
    """

    e: Array
    log_a: Array
    b: Array

    def loss(self, log_compute: Array) -> Array:
        """(.., n_curves, n_sizes), at log compute (n_curves, n_sizes)."""
        power = np.exp(self.log_a[..., None] - self.b[..., None] * log_compute)
        return np.asarray(self.e[..., None, None] + power)

    def log_compute(self, loss: Array) -> Array:
        """Log of the compute at which each curve reaches a loss (..), (.., n_curves)."""
        reach = np.log(np.maximum(loss - self.e, np.finfo(float).tiny))
        return np.asarray((self.log_a - reach[..., None]) / self.b)


@dataclass(frozen=True)
class Gain:
    """What a variant needs of the baseline's compute for the same loss.

    Attributes:
        ratio: its compute over the baseline's; None where it is not known.
        low, high: 95 % interval of it.
        loss: at which both were compared: the worse of the two at the largest size.
        compute: of the curve that has this loss at the largest size, in FLOPs.
        e, log_a, b: of the curves, baseline first.
        why: in words, why there is no ratio or interval, or how far off the curves are.
    """

    ratio: float | None
    low: float | None
    high: float | None
    loss: float | None
    compute: float | None
    e: float | None
    log_a: list[float]
    b: list[float]
    why: str


def fit(log_compute: Array, losses: Array) -> Fit:
    """Least squares in log loss: min over E >= 0 of sum (log L - log L_fit)^2.

    For each E, log(L - E) is linear in log C; its residuals, times (L - E) / L, are those of log L
    to first order, so that each curve is a weighted regression and E the only search.

    log_compute: (n_curves, n_sizes). losses: (.., n_curves, n_sizes), > 0.
    """
    y = np.asarray(losses, dtype=float)
    lowest = y.min(axis=(-2, -1))
    low, high = np.zeros_like(lowest), HIGHEST * lowest
    for _ in range(ROUNDS):
        shares = np.linspace(0.0, 1.0, GRID)
        e = low[..., None] + (high - low)[..., None] * shares
        found = _lines(log_compute, y[..., None, :, :], e)
        off = np.log(found.loss(log_compute)) - np.log(y[..., None, :, :])
        best = np.argmin((off**2).sum(axis=(-2, -1)), axis=-1)
        low, high = (
            np.take_along_axis(e, np.clip(best + step, 0, GRID - 1)[..., None], -1)[..., 0]
            for step in (-1, 1)
        )
    chosen = np.take_along_axis(e, best[..., None], -1)[..., 0]
    return _lines(log_compute, y, chosen)


def _lines(x: Array, y: Array, e: Array) -> Fit:
    """log a and b of each curve at a given E; e without the last two axes of y."""
    above = y - e[..., None, None]
    z, w = np.log(above), (above / y) ** 2
    total = w.sum(axis=-1)
    mean_x, mean_z = (w * x).sum(axis=-1) / total, (w * z).sum(axis=-1) / total
    dx = x - mean_x[..., None]
    b = -(w * dx * z).sum(axis=-1) / (w * dx**2).sum(axis=-1)
    return Fit(np.asarray(e), np.asarray(mean_z + b * mean_x), np.asarray(b))


def gain(compute: Array, losses: Array, *, margin: float, seed: int = 0) -> Gain:
    """The gain of a variant.

    The interval is t with n - 1 degrees of freedom on the log of the ratio, its standard error by
    the bootstrap: seeds are drawn with replacement, the same for both curves and all sizes (Efron
    1979), times sqrt(n / (n - 1)), as a bootstrap of n values lacks.

    compute: (2, n_sizes) in FLOPs, the baseline first, ascending. losses: (2, n_sizes, n_seeds).
    margin: as a share of the loss, how far a curve may be off beyond the noise of a mean.
    """
    y, n = np.asarray(losses, dtype=float), np.shape(losses)[-1]
    if y.min() <= 0:
        return _none("the curve L = E + a C^-b is one of losses above 0")
    x = np.log(compute)
    found = fit(x, y.mean(axis=-1))
    if (found.b <= 0).any():
        return _none("a loss does not fall with compute", found)
    if off := _off(found, x, y, margin):
        return _none(off, found)
    log_ratio, level, top = _log_ratio(found, x)
    needed = found.log_compute(level)
    if (needed < x[:, 0]).any():
        low = "variant" if needed[1] < x[1, 0] else "baseline"
        return _none(f"the {low} reaches it below the smallest size; add smaller sizes", found)
    low_end = high_end = None
    why = f"needs at least {ENOUGH} seeds" if n < ENOUGH else ""
    if n >= ENOUGH:
        rng = np.random.default_rng(seed)
        drawn = y[..., rng.integers(n, size=(RESAMPLES, n))].mean(axis=-1)  # (2, k, resamples)
        ratios = _log_ratio(fit(x, np.moveaxis(drawn, -1, 0)), x)[0]
        se = float(np.std(ratios[np.isfinite(ratios)])) * math.sqrt(n / (n - 1))
        half = float(stdtrit(n - 1.0, 1 - ALPHA / 2)) * se
        low_end, high_end = (math.exp(float(log_ratio) + sign * half) for sign in (-1, 1))
    curves = float(found.e), found.log_a.tolist(), found.b.tolist()
    return Gain(
        math.exp(log_ratio), low_end, high_end, float(level), float(np.exp(top)), *curves, why
    )


def _log_ratio(found: Fit, x: Array) -> tuple[Array, Array, Array]:
    """Log of the ratio, the loss it is at, and the log compute of the curve that ends there."""
    ends = found.loss(x)[..., -1]
    level = ends.max(axis=-1)
    needed = found.log_compute(level)
    top = np.where(ends[..., 0] >= ends[..., 1], x[0, -1], x[1, -1])
    return needed[..., 1] - needed[..., 0], level, top


def _off(found: Fit, x: Array, y: Array, margin: float) -> str:
    """Where a curve misses a mean by more than margin and noise; empty where both fit."""
    means, n = y.mean(axis=-1), y.shape[-1]
    noise = np.zeros_like(means)
    if n > 1:
        noise = stdtrit(n - 1.0, 1 - ALPHA / 2) * y.std(axis=-1, ddof=1) / math.sqrt(n)
    off = np.abs(found.loss(x) - means)
    excess = off - margin * means - noise
    if (excess <= 0).all():
        return ""
    curve, size = np.unravel_index(int(excess.argmax()), excess.shape)
    name = ("baseline", "variant")[int(curve)]
    share = 100 * off[curve, size] / means[curve, size]
    return f"the curve of the {name} does not fit: off by {share:.2g} % at size {size + 1}"


def _none(why: str, found: Fit | None = None) -> Gain:
    """No gain, with the curves where there are any."""
    if found is None:
        return Gain(None, None, None, None, None, None, [], [], why)
    curves = float(found.e), found.log_a.tolist(), found.b.tolist()
    return Gain(None, None, None, None, None, *curves, why)
