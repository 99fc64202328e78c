"""How certain a difference is: each variant is paired with the baseline, seed by seed.

y_vs is the metric of variant v at seed s, v = 0 the baseline; d_vs = y_vs - y_0s at the seeds that
both have. A seed gives all variants the same samples and, where shapes agree, the same weights and
dropout. docs/design/statistics.md has the simulated error rates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import nctdtrinc, stdtr, stdtrit

ALPHA = 0.05
POWER = 0.8
ENOUGH = 3  # seeds for a verdict
EPSILON = float(np.finfo(np.float32).eps)  # metrics are computed in single precision

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
        n: pairs of seeds.
        method: ``paired``; ``none`` with one seed.
        detectable: the difference that n seeds call better or worse with a power of 80 %.
        equal_within: the smallest margin within which they call two equal variants equal so.
        verdict: ``better``, ``worse``, ``smaller than the margin``, ``equal``, ``unresolved``;
            ``withheld`` (two seeds), ``no inference`` (one), ``no spread`` (no noise to judge by).
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
    detectable: float | None
    equal_within: float | None
    verdict: str


def effects(y: Any, *, margin: float, lower_is_better: bool = True) -> list[Effect]:
    """Compare each row of y (k, n) with the first; columns are seeds. See `paired_effects`.

    Raises ValueError for less than two rows or values not finite.
    """
    table = np.asarray(y, dtype=float)
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 1:
        raise ValueError(f"y of shape {table.shape} must be (variants, seeds), at least (2, 1)")
    d = table[1:] - table[0]
    scale = float(np.abs(table).max())
    return paired_effects(d, margin=margin, scale=scale, lower_is_better=lower_is_better)


def paired_effects(
    differences: Sequence[Any], *, margin: float, scale: float = 0.0, lower_is_better: bool = True
) -> list[Effect]:
    """What the differences of each variant from the baseline say, at the seeds that both have.

    A t-test for each variant: SE = sd(d) / sqrt(n), n - 1 degrees of freedom (Student 1908). The
    variance is not pooled over variants: if the baseline's is larger than the others', the error
    rate of a pooled test is three times its level.

    margin: differences up to here, in units of the metric, are of no interest (Kruschke 2018). A
    variant is better or worse if its interval lies beyond the margin, equal if two one-sided tests
    place it within; both after Holm over all variants of three or more seeds. scale: the largest
    value of the metric, whose rounding is no noise. Raises ValueError for values not finite.
    """
    if not margin >= 0:
        raise ValueError(f"margin={margin} must be >= 0, for example 0.005")
    samples = [_sample(d, scale) for d in differences]
    tested = [s.n >= ENOUGH and s.has_spread for s in samples]
    family = [s for s, one in zip(samples, tested, strict=True) if one]
    beyond = iter(holm([s.p_beyond(margin) for s in family]).tolist())
    within = iter(holm([s.p_within(margin) for s in family]).tolist())
    p_holm = _adjusted(samples, tested)
    found = []
    for sample, p, one in zip(samples, p_holm, tested, strict=True):
        verdict = sample.untested()
        if one:
            signs = next(beyond) < ALPHA, next(within) < ALPHA, p < ALPHA
            verdict = _verdict(*signs, better=(sample.delta < 0) == lower_is_better)
        level = ALPHA / max(1, len(family) if one else len(samples))
        found.append(sample.effect(p, verdict, margin, level))
    return found


@dataclass(frozen=True)
class _Sample:
    """The differences of one variant."""

    delta: float
    sd: float
    n: int
    has_spread: bool

    @property
    def se(self) -> float:
        return self.sd / math.sqrt(self.n)

    def p_beyond(self, margin: float) -> float:
        """Two-sided p of a difference within the margin, as far as the nearer end of it."""
        if not self.has_spread:
            return math.nan
        return min(1.0, float(2 * stdtr(self.n - 1.0, (margin - abs(self.delta)) / self.se)))

    def p_within(self, margin: float) -> float:
        """The larger p of two one-sided tests for a difference beyond (Schuirmann 1987)."""
        return float(stdtr(self.n - 1.0, (abs(self.delta) - margin) / self.se))

    def untested(self) -> str:
        """Why there is no verdict."""
        if self.n < 2:
            return "no inference"
        return "withheld" if self.n < ENOUGH else "no spread"

    def effect(self, p_holm: float, verdict: str, margin: float, level: float) -> Effect:
        """As reported; level: of the strictest of Holm's tests."""
        n, df, nan, inf = self.n, self.n - 1.0, math.nan, math.inf
        if n < 2:
            unknown = (nan, 0.0, -inf, inf, nan, nan, 1, "none", None, None)
            return Effect(self.delta, *unknown, verdict)
        if not self.has_spread:
            return Effect(self.delta, 0.0, df, nan, nan, nan, nan, n, "paired", None, None, verdict)
        half = float(half_width(self.se, n))
        return Effect(
            delta=self.delta,
            se=self.se,
            df=df,
            low=self.delta - half,
            high=self.delta + half,
            p=self.p_beyond(0.0),
            p_holm=p_holm,
            n=n,
            method="paired",
            detectable=margin + minimal_detectable_effect(self.sd, n, level),
            equal_within=smallest_margin(self.sd, n, level),
            verdict=verdict,
        )


def _sample(differences: Any, scale: float) -> _Sample:
    d = [float(x) for x in differences]
    if not d:
        raise ValueError("no differences; a variant needs a seed in common with the baseline")
    if not all(map(math.isfinite, d)):
        raise ValueError("y must be finite; leave out runs that diverged")
    n = len(d)
    delta = sum(d) / n
    sd = _deviation([x - delta for x in d]) if n > 1 else math.nan
    # A share of 64 examples moves by 1/64 or not at all: one difference in all seeds is no noise.
    rounding = 4 * EPSILON * max(scale, *map(abs, d))
    constant = sd == 0.0 or (sd <= rounding and abs(delta) > 100 * sd)
    return _Sample(delta, sd, n, n > 1 and not constant)


def _deviation(residuals: Sequence[float]) -> float:
    """sqrt(sum r^2 / (n - 1)), also where squares are no numbers (perplexities of 1e155)."""
    largest = max(map(abs, residuals))
    if not largest:
        return 0.0
    return largest * math.sqrt(sum((r / largest) ** 2 for r in residuals) / (len(residuals) - 1))


def _adjusted(samples: Sequence[_Sample], tested: Sequence[bool]) -> list[float]:
    """p after Holm: of those that are tested for their number, of two seeds for the number of all.

    So that variants of two seeds, which get no verdict, cost the others nothing.
    """
    found = [math.nan] * len(samples)
    for chosen in (
        [i for i, s in enumerate(samples) if s.has_spread],
        [i for i, one in enumerate(tested) if one],
    ):
        for i, p in zip(chosen, holm([samples[i].p_beyond(0.0) for i in chosen]), strict=True):
            found[i] = float(p)
    return found


def _verdict(beyond: bool, within: bool, differs: bool, *, better: bool) -> str:
    if beyond:
        return "better" if better else "worse"
    if within:
        return "smaller than the margin" if differs else "equal"
    return "unresolved"


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
    """Two-sided p of a mean difference of zero, of two values at least (Student 1908).

    nan where all values are one: there is no noise to judge by.
    """
    if len(d) < 2:
        raise ValueError(f"{len(d)} difference: a t-test needs at least two")
    return _sample(d, 0.0).p_beyond(0.0)


def minimal_detectable_effect(sd: float, n: int, level: float = ALPHA) -> float:
    """The difference that n seeds find with a power of 80 %; sd that of the differences.

    sd / sqrt(n) times the non-centrality at which t, with n - 1 degrees of freedom, exceeds its
    two-sided critical value of the level with a probability of 80 % (Cohen 1988).
    """
    if n < 2:
        raise ValueError(f"n={n} must be >= 2: one seed has no variance")
    return _noncentrality(n - 1, level / 2, 1 - POWER) * sd / math.sqrt(n)


def smallest_margin(sd: float, n: int, level: float = ALPHA) -> float:
    """The margin at which n seeds call variants that do not differ equal, with a power of 80 %.

    Each of the two one-sided tests fails with a probability of 10 %: at least 80 % pass both.
    """
    if n < 2:
        raise ValueError(f"n={n} must be >= 2: one seed has no variance")
    return _noncentrality(n - 1, level, (1 - POWER) / 2) * sd / math.sqrt(n)


@cache  # the same for all variants of a table; found by a search
def _noncentrality(df: int, level: float, miss: float) -> float:
    """Of a t that stays below its one-sided critical value with the probability miss."""
    return float(nctdtrinc(df, miss, stdtrit(df, 1 - level)))


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
