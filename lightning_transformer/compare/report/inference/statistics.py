"""How certain a difference is: each variant is paired with the baseline, seed by seed.

y_vs is the metric of variant v at seed s, v = 0 the baseline; d_vs = y_vs - y_0s at the seeds that
both have. A seed gives all variants the same samples and, where shapes agree, the same weights and
dropout. docs/design/statistics.md has the simulated error rates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from lightning_transformer.compare.report.comparison import Looks
from lightning_transformer.compare.report.inference import noise
from lightning_transformer.compare.report.inference.looks import SequentialSeeds
from lightning_transformer.compare.report.inference.noise import Source, Student

ALPHA = 0.05
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
        low, high: 95 % interval of delta, which holds all sources of noise.
        seeds_low, seeds_high: the same of the seeds alone, on the very same test text.
        p: two-sided, for this comparison alone.
        p_holm: the same, adjusted for all comparisons of the table.
        n: pairs of seeds.
        method: ``paired``; ``sequential`` where seeds were added; ``none`` with one seed.
        detectable: the difference that n seeds call better or worse with a power of 80 %.
        equal_within: the smallest margin within which they call two equal variants equal so.
        verdict: ``better``, ``worse``, ``smaller than the margin``, ``equal``, ``unresolved``;
            ``withheld`` (two seeds), ``no inference`` (one), ``no spread`` (no noise to judge by).
        noise: the standard error that each source gives the difference, by its name.
        probability_better: that with one more seed the variant's run is better than the baseline's,
            on the same test text; see `probability_better`.
    """

    delta: float
    se: float | None
    df: float
    low: float | None
    high: float | None
    seeds_low: float | None
    seeds_high: float | None
    p: float | None
    p_holm: float | None
    n: int
    method: str
    detectable: float | None
    equal_within: float | None
    verdict: str
    noise: dict[str, float]
    probability_better: float | None


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
    differences: Sequence[Any],
    *,
    margin: float,
    scale: float = 0.0,
    lower_is_better: bool = True,
    sources: Sequence[Sequence[Source]] | None = None,
    looks: Looks | None = None,
) -> list[Effect]:
    """What the differences of each variant from the baseline say, at the seeds that both have.

    A t-test for each variant: SE = sd(d) / sqrt(n), n - 1 degrees of freedom (Student 1908). The
    variance is not pooled over variants: if the baseline's is larger than the others', the error
    rate of a pooled test is three times its level.

    margin: differences up to here, in units of the metric, are of no interest (Kruschke 2018). A
    variant is better or worse if its interval lies beyond the margin, equal if two one-sided tests
    place it within; both after Holm over all variants of three or more seeds. scale: the largest
    value of the metric, whose rounding is no noise. sources: of each variant, what else makes its
    difference uncertain. looks: at which numbers of seeds verdicts are read; they hold at all of
    them together. Raises ValueError for values not finite.
    """
    if not margin >= 0:
        raise ValueError(f"margin={margin} must be >= 0, for example 0.005")
    others = [()] * len(differences) if sources is None else sources
    samples = [_sample(d, scale, more, looks) for d, more in zip(differences, others, strict=True)]
    tested = [s.n >= s.enough and s.has_spread for s in samples]
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
        found.append(sample.effect(p, verdict, margin, level, lower_is_better))
    return found


@dataclass(frozen=True)
class _Sample:
    """The differences of one variant, and what makes their mean uncertain.

    Attributes:
        sources: of its error, the seeds first; none without noise to judge by.
        enough: seeds for a verdict.
    """

    delta: float
    n: int
    sources: tuple[Source, ...]
    enough: int = ENOUGH
    method: str = "paired"

    @property
    def has_spread(self) -> bool:
        return bool(self.sources)

    def p_beyond(self, margin: float) -> float:
        """Two-sided p of a difference within the margin, as far as the nearer end of it."""
        if not self.has_spread:
            return math.nan
        return noise.p_value(self.sources, max(0.0, abs(self.delta) - margin))

    def p_within(self, margin: float) -> float:
        """The larger p of two one-sided tests for a difference beyond (Schuirmann 1987)."""
        return noise.p_value(self.sources, max(0.0, margin - abs(self.delta))) / 2

    def untested(self) -> str:
        """Why there is no verdict."""
        if self.n < 2:
            return "no inference"
        return "withheld" if self.n < self.enough else "no spread"

    def effect(
        self, p_holm: float, verdict: str, margin: float, level: float, lower_is_better: bool
    ) -> Effect:
        """As reported; level: of the strictest of Holm's tests."""
        n, df, nan, inf = self.n, self.n - 1.0, math.nan, math.inf
        if n < 2:
            unknown = (nan, 0.0, -inf, inf, -inf, inf, nan, nan, 1, "none", None, None)
            return Effect(self.delta, *unknown, verdict, {}, None)
        if not self.has_spread:
            unseen = (nan, nan, nan, nan, nan, nan, n, self.method, None, None)
            return Effect(self.delta, 0.0, df, *unseen, verdict, {}, None)
        half, of_seeds = noise.half(self.sources, ALPHA), self.sources[0].half(ALPHA)
        gain = -self.delta if lower_is_better else self.delta
        return Effect(
            delta=self.delta,
            se=math.hypot(*(source.se for source in self.sources)),
            df=df,
            low=self.delta - half,
            high=self.delta + half,
            seeds_low=self.delta - of_seeds,
            seeds_high=self.delta + of_seeds,
            p=self.p_beyond(0.0),
            p_holm=p_holm,
            n=n,
            method=self.method,
            detectable=margin + noise.detectable(self.sources, level),
            equal_within=noise.equal_within(self.sources, level),
            verdict=verdict,
            noise={source.name: source.se for source in self.sources},
            probability_better=probability_better(gain, self.sources[0].se, n),
        )


def _sample(
    differences: Any, scale: float, others: Sequence[Source] = (), looks: Looks | None = None
) -> _Sample:
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
    enough, method = (looks.first, "sequential") if looks else (ENOUGH, "paired")
    se = sd / math.sqrt(n)
    seeds: Source = Student("seeds", se, n - 1.0)
    if looks and n >= enough:
        seeds = SequentialSeeds(se, n, looks)
    sources = () if n < 2 or constant else (seeds, *others)
    return _Sample(delta, n, sources, enough, method)


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


def probability_better(gain: float, se: float, n: int) -> float:
    """Of a gain above zero with one more seed: T_{n-1}(gain / (sd sqrt(1 + 1/n))).

    The share of the predictive distribution of the next of n + 1 normal differences (Geisser 1993),
    which bounds it as often as it says. gain: their mean, positive = better. se: sd / sqrt(n).
    """
    return float(stdtr(n - 1.0, gain / (se * math.sqrt(n + 1.0))))


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
    """Two-sided p of a mean difference of zero (Student 1908); nan where all values are one."""
    if len(d) < 2:
        raise ValueError(f"{len(d)} difference: a t-test needs at least two")
    return _sample(d, 0.0).p_beyond(0.0)


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
