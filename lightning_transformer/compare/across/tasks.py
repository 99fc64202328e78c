"""One answer over tasks: interquartile mean, performance profile, probability of improvement.

An improvement is the difference of a run from the baseline's run of the same seed, in percent of
the baseline's mean on that task, with the sign turned so that above zero is better. All three are
those of Agarwal et al. 2021; seeds are resampled within each task (stratified bootstrap), so an
answer is of these tasks and not of others.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import mean

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtrit

from lightning_transformer.compare.across.contents import (
    Pooled,
    ProfileLine,
    TaskNote,
    TaskVariant,
)
from lightning_transformer.compare.across.effects import (
    PartReport,
    labels,
    part_effect,
    percents,
    values,
    warnings,
)
from lightning_transformer.compare.across.parts import Several
from lightning_transformer.compare.across.report import TasksReport
from lightning_transformer.compare.report.contents import finite
from lightning_transformer.compare.report.inference.statistics import ALPHA, ENOUGH

RESAMPLES = 2000
SHARE = 0.25  # of the values that an interquartile mean leaves out at each end
POINTS = 61  # of a performance profile

Array = NDArray[np.float64]


def interquartile_mean(scores: Array) -> Array:
    """Mean of the middle half of the last axis, as scipy.stats.trim_mean(scores, 0.25)."""
    ordered = np.sort(scores, axis=-1)
    cut = int(SHARE * ordered.shape[-1])
    found: Array = ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)
    return found


def resampled(scores: Sequence[Array], seed: int = 0) -> Array:
    """(RESAMPLES, all scores): each task's own drawn with replacement, side by side."""
    rng = np.random.default_rng(seed)
    drawn = [task[rng.integers(len(task), size=(RESAMPLES, len(task)))] for task in scores]
    return np.concatenate(drawn, axis=1)


def pooled_mean(scores: Sequence[Array], level: float = ALPHA) -> tuple[float, float, float]:
    """Interquartile mean over tasks and seeds, with its interval of 1 - level.

    t with n - 1 degrees of freedom, n the seeds of the task that has the fewest: a task may hold
    the whole middle half. Its standard error is that of the stratified bootstrap, times
    sqrt(n / (n - 1)), as a bootstrap of n values lacks.

    scores: of each task, at least two.
    """
    n = min(map(len, scores))
    middle = float(interquartile_mean(np.concatenate(scores)))
    se = float(np.std(interquartile_mean(resampled(scores)))) * math.sqrt(n / (n - 1))
    half = float(stdtrit(n - 1.0, 1 - level / 2)) * se
    return middle, middle - half, middle + half


def probability_of_improvement(
    ours: Sequence[Array], theirs: Sequence[Array]
) -> tuple[float, float, float]:
    """P(a run of ours is better than one of theirs), mean over tasks, with its 95 % interval.

    Of each task the share of all pairs of runs, ties counted half (Mann and Whitney 1947). The
    interval is that of as many independent tosses as there are runs (Clopper and Pearson 1934):
    using all pairs, and not each run once, makes the share less variable than tosses are. So it is
    wide enough also where all pairs are won, of which a bootstrap would be certain.

    ours, theirs: of each task, larger is better.
    """
    shares, n = [], 0
    for a, b in zip(ours, theirs, strict=True):
        won = (a[:, None] > b[None, :]).mean() + 0.5 * (a[:, None] == b[None, :]).mean()
        shares.append(float(won))
        n += min(len(a), len(b))
    found = mean(shares)
    hits = found * n
    low = 0.0 if hits <= 0 else float(betaincinv(hits, n - hits + 1, ALPHA / 2))
    high = 1.0 if hits >= n else float(betaincinv(hits + 1, n - hits, 1 - ALPHA / 2))
    return found, low, high


def profile(scores: Sequence[Array], improvements: Array) -> ProfileLine:
    """Share of runs above each improvement, mean over tasks, with a 95 % band at each."""
    n = [len(task) for task in scores]
    weight = np.concatenate([np.full(count, 1 / (count * len(n))) for count in n])

    def shares(rows: Array) -> Array:
        return np.stack([(rows > at) @ weight for at in improvements], axis=-1)

    low, high = np.quantile(shares(resampled(scores)), (ALPHA / 2, 1 - ALPHA / 2), axis=0)
    return ProfileLine(shares(np.concatenate(scores)).tolist(), low.tolist(), high.tolist())


def tasks(several: Several, parts: Sequence[PartReport]) -> TasksReport:
    """The report over several tasks."""
    signs = {p.name: -1 if p.report.better == "lower" else 1 for p in parts}
    margin = parts[0].report.margin.percent
    named = labels(parts)
    base, n_others = named[0][0], len(named) - 1
    scores = {variant: _run_scores(parts, variant, signs) for variant, _ in named}
    every = [value for of_task in scores.values() if of_task for one in of_task for value in one]
    improvements = np.linspace(min(every, default=-1.0), max(every, default=1.0), POINTS)
    rows = []
    for variant, short in named:
        effects = [part_effect(part, variant, signs[part.name]) for part in parts]
        found: Pooled | str | None = None
        if variant != base:
            found = _pooled(parts, variant, signs, margin, n_others)
        own = scores[variant]
        rows.append(TaskVariant(
            variant=variant,
            short=short,
            tasks=effects,
            pooled=found if isinstance(found, Pooled) else None,
            profile=profile(own, improvements) if own else None,
            why=found if isinstance(found, str) else "",
        ))  # fmt: skip
    there = {part.name for part in parts}
    missing = [part.name for part in several.parts if part.name not in there]
    doubts = [f"No report yet of {', '.join(missing)}: this is of the other tasks alone."]
    content = TasksReport(
        title=several.name,
        margin_percent=margin,
        tasks=[TaskNote(part.name, part.report.metric, part.report.better) for part in parts],
        improvements=improvements.tolist(),
        variants=rows,
        warnings=[*several.doubts, *(doubts if missing else []), *warnings(parts)],
    )
    checked: TasksReport = finite(content)
    return checked


def _pooled(
    parts: Sequence[PartReport], variant: str, signs: Mapping[str, int], margin: float, m: int
) -> Pooled | str:
    """All tasks together; or why there is no such number. m: variants that are tested."""
    by_task = {part.name: percents(part, variant) for part in parts}
    if lacking := [name for name, found in by_task.items() if not found]:
        return f"no effect on {', '.join(lacking)}"
    improvements = [
        signs[name] * np.array([found[seed] for seed in sorted(found)])
        for name, found in by_task.items()
    ]
    ours, theirs = (
        [signs[part.name] * values(part, name, sorted(by_task[part.name])) for part in parts]
        for name in (variant, parts[0].baseline.variant)
    )
    better = probability_of_improvement(ours, theirs)
    n = sum(map(len, improvements))
    if min(map(len, improvements)) < ENOUGH:
        middle = float(interquartile_mean(np.concatenate(improvements)))
        return Pooled(middle, None, None, *better, n, "not tested")
    middle, low, high = pooled_mean(improvements)
    # Bonferroni: each verdict at a level of ALPHA over the number of variants.
    _, strict_low, strict_high = pooled_mean(improvements, ALPHA / m)
    _, inner_low, inner_high = pooled_mean(improvements, 2 * ALPHA / m)  # two one-sided tests
    verdict = "unresolved"
    if strict_low > margin:
        verdict = "better"
    elif strict_high < -margin:
        verdict = "worse"
    elif -margin < inner_low and inner_high < margin:
        verdict = "equal"
    return Pooled(middle, low, high, *better, n, verdict, not strict_low <= 0 <= strict_high)


def _run_scores(
    parts: Sequence[PartReport], variant: str, signs: Mapping[str, int]
) -> list[Array] | None:
    """Each run's own improvement over the baseline's mean by task; None where one has none."""
    found = []
    for part in parts:
        row, base = part.row(variant), part.baseline.mean
        known = [value for value in row.values.values() if value is not None] if row else []
        if not known or not base or (row and row.incomparable):
            return None
        found.append(signs[part.name] * 100 * (np.array(known) - base) / abs(base))
    return found
