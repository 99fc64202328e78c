"""How certain a difference is: variants with equal seeds, so that each seed is a block.

y_vs is the metric of variant v at seed s, v = 0 the baseline; d_vs = y_vs - y_0s. A seed gives all
variants the same samples and, where shapes agree, the same weights and dropout, which removes most
of the seed's variance from d. docs/design/statistics.md has the simulated error rates.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import nctdtrinc, stdtr, stdtrit

ALPHA = 0.05
POWER = 0.8

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Effect:
    """One variant against the baseline; in a report, numbers that are not finite are None.

    Attributes:
        delta: mean difference, in units of the metric.
        se: its standard error; nan with one seed.
        df: its degrees of freedom.
        low, high: 95 % interval of delta.
        p: two-sided, for this comparison alone.
        p_holm: the same, adjusted for all comparisons of the table.
        n: seeds.
        method: ``paired``; ``none`` with one seed.
        n_needed: seeds for a power of 80 %; None where there is a verdict or no estimate.
        verdict: ``better``, ``worse``, ``equal``, ``unresolved``, ``withheld`` (two seeds) or
            ``no inference`` (one).
    """

    delta: float
    se: float | None
    df: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    n: int
    method: str
    n_needed: int | None
    verdict: str


def effects(y: Any, *, margin: float, lower_is_better: bool = True) -> list[Effect]:
    """Compare each row of y (k, n) with the first; columns are seeds.

    A t-test of d for each row: SE = sd(d) / sqrt(n), n - 1 degrees of freedom (Student 1908). The
    variance is not pooled over variants: if the baseline's is larger than the others', the error
    rate of a pooled test is three times its level.

    margin: differences up to here, in units of the metric, are of no interest (Kruschke 2018); a
    variant is better or worse if p_holm < 0.05 and |delta| > margin, equal if two one-sided tests
    place it within margin. Raises ValueError for less than two rows or values not finite.
    """
    table = np.asarray(y, dtype=float)
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 1:
        raise ValueError(f"y of shape {table.shape} must be (variants, seeds), at least (2, 1)")
    if not np.isfinite(table).all():
        raise ValueError("y must be finite; leave out runs that diverged")
    if not margin >= 0:
        raise ValueError(f"margin={margin} must be >= 0, for example 0.005")
    d = table[1:] - table[0]
    delta, n = d.mean(axis=1), table.shape[1]
    if n == 1:
        nan, inf = math.nan, math.inf
        unknown = (nan, 0.0, -inf, inf, nan, nan, 1, "none", None, "no inference")
        return [Effect(x, *unknown) for x in delta.tolist()]
    se, df = d.std(axis=1, ddof=1) / math.sqrt(n), n - 1.0
    p = _two_sided(delta, se, df)
    columns = (delta, se, half_width(se, n), p, holm(p))
    found = []
    for x, error, half, raw, adjusted in zip(*(c.tolist() for c in columns), strict=True):
        within = equivalent(x, error, df, margin)
        verdict = _verdict(x, adjusted, within, n, margin, lower_is_better)
        needed = None
        if verdict == "unresolved":
            needed = _needed(error * math.sqrt(n), x, margin, n)
        found.append(
            Effect(x, error, df, x - half, x + half, raw, adjusted, n, "paired", needed, verdict)
        )
    return found


def _two_sided(delta: Any, se: Any, df: float) -> Array:
    """p of delta = 0; without variance, 1 for no difference and 0 for any."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(delta == 0.0, 0.0, np.abs(delta) / se)
    return np.asarray(2 * stdtr(df, -t), dtype=float)


def _verdict(
    delta: float, p: float, within: bool, n: int, margin: float, lower_is_better: bool
) -> str:
    if n == 2:
        return "withheld"
    if p < ALPHA and abs(delta) > margin:
        return "better" if (delta < 0) == lower_is_better else "worse"
    return "equal" if within else "unresolved"


def _needed(sd: float, delta: float, margin: float, n: int) -> int | None:
    """Seeds for a difference, or, within margin, where none can be found, for equality."""
    if abs(delta) > margin:
        return max(n + 1, seeds_needed(sd, delta))
    room = margin - abs(delta)
    if room == 0.0 or sd == 0.0:
        return None
    # 2.49 = z of 95 %, one-sided, + z of 80 %
    return max(n + 1, math.ceil((2.49 * sd / room) ** 2))


def half_width(se: Any, n: int) -> Any:
    """Half of the 95 % interval of a mean of n > 1 values: t_{n-1, 0.975} se (Student 1908)."""
    return stdtrit(n - 1.0, 1 - ALPHA / 2) * se


def mean_interval(d: Any) -> tuple[Array, Array]:
    """95 % interval of the mean over the first axis, which has at least two values."""
    values = np.asarray(d, dtype=float)
    n = len(values)
    if n < 2:
        raise ValueError(f"{n} value: an interval needs at least two")
    center = values.mean(axis=0)
    half = half_width(values.std(axis=0, ddof=1) / math.sqrt(n), n)
    return np.asarray(center - half), np.asarray(center + half)


def holm(p: Any) -> Array:
    """Adjust p for their number: max over smaller ones of min(1, (m - j + 1) p_(j)) (Holm 1979)."""
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    raised = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(raised))
    return adjusted


def paired_p(d: Any) -> float:
    """Two-sided p of a mean difference of zero, of two values at least (Student 1908)."""
    values = np.asarray(d, dtype=float)
    n = len(values)
    if n < 2:
        raise ValueError(f"{n} difference: a t-test needs at least two")
    return float(_two_sided(values.mean(), values.std(ddof=1) / math.sqrt(n), n - 1.0))


def equivalent(delta: float, se: float, df: float, margin: float) -> bool:
    """Whether the 90 % interval of delta is within +-margin: two one-sided tests.

    Schuirmann 1987.
    """
    return bool(abs(delta) + stdtrit(df, 1 - ALPHA) * se < margin) or delta == se == 0.0


def seeds_needed(sd: float, delta: float) -> int:
    """Seeds for a power of 80 %: (2.8 sd / delta)^2, sd that of differences (Lehr 1992)."""
    if delta == 0.0:
        raise ValueError("delta=0.0 needs infinitely many seeds; it must differ from 0, e.g. 0.01")
    return max(2, math.ceil((2.8 * sd / abs(delta)) ** 2))


def minimal_detectable_effect(sd: float, n: int) -> float:
    """The difference that n seeds find with a power of 80 %; sd that of the differences.

    sd / sqrt(n) times the non-centrality at which t, with n - 1 degrees of freedom, exceeds its
    critical value of 5 % with a probability of 80 % (Cohen 1988).
    """
    if n < 2:
        raise ValueError(f"n={n} must be >= 2: one seed has no variance")
    critical = stdtrit(n - 1, 1 - ALPHA / 2)
    return float(nctdtrinc(n - 1, 1 - POWER, critical) * sd / math.sqrt(n))


def bootstrap(differences: Any, n_resamples: int = 1000, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the loss difference per token, over other test documents (Koehn 2004).

    differences: (n_documents, 2): difference of summed losses, averaged over seeds, and tokens of
    each document. Documents are drawn with replacement; the statistic is the ratio of the sums.
    """
    pairs = np.asarray(differences, dtype=float)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise ValueError(f"differences of shape {pairs.shape} must be (documents, 2)")
    if not np.isfinite(pairs).all() or (pairs[:, 1] <= 0).any():
        raise ValueError("differences must be finite, and every document have tokens")
    generator = np.random.default_rng(seed)
    means = np.empty(n_resamples)
    for i in range(n_resamples):
        total = pairs[generator.integers(len(pairs), size=len(pairs))].sum(axis=0)
        means[i] = total[0] / total[1]
    low, high = np.quantile(means, (ALPHA / 2, 1 - ALPHA / 2))
    return float(low), float(high)


def divergence_p(n_diverged: int, n: int, n_diverged_baseline: int, n_baseline: int) -> float:
    """Two-sided p of equal rates of diverging: Fisher's exact test (Fisher 1935)."""
    for name, part, total in (
        ("n_diverged", n_diverged, n),
        ("n_diverged_baseline", n_diverged_baseline, n_baseline),
    ):
        if not 0 <= part <= total:
            raise ValueError(f"{name}={part} must be from 0 to {total}")
    from scipy.stats import fisher_exact  # only here, because it takes a second

    rows = ((n_diverged, n), (n_diverged_baseline, n_baseline))
    return float(fisher_exact([[part, total - part] for part, total in rows])[1])


def kendall_tau(a: Sequence[float], b: Sequence[float]) -> float:
    """Kendall's tau-b of two rankings: 1 the same, -1 the reverse, nan if all are tied (1938)."""
    if len(a) != len(b):
        raise ValueError(f"rankings of {len(a)} and {len(b)} must be of one length")
    from scipy.stats import kendalltau

    return float(kendalltau(a, b)[0])


def lr_sensitivity(losses_by_lr: Mapping[float, float | None], loss_at_init: float) -> float:
    """Mean over learning rates of min(loss, loss at init) - best loss (Wortsman et al. 2023).

    A loss of None or not finite (diverged) counts as the loss at init; nan if all diverged.
    """
    if not losses_by_lr:
        raise ValueError("losses_by_lr is empty; it maps each learning rate to its loss")
    capped = [
        loss_at_init if x is None or not math.isfinite(x) else min(x, loss_at_init)
        for x in losses_by_lr.values()
    ]
    return float(np.mean(capped) - min(capped)) if min(capped) < loss_at_init else math.nan
