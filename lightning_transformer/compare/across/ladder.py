"""From the reports of all sizes to that of a ladder: effects, their trend, and compute gained."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from lightning_transformer.compare.across.contents import LadderVariant, Rung
from lightning_transformer.compare.across.effects import (
    PartReport,
    compute_of,
    is_sure,
    labels,
    part_effect,
    percents,
    values,
    warnings,
)
from lightning_transformer.compare.across.gain import Gain, gain
from lightning_transformer.compare.across.parts import Several
from lightning_transformer.compare.across.report import LadderReport
from lightning_transformer.compare.across.trend import SIZES, OverSizes, trends
from lightning_transformer.compare.report.contents import finite

UNORDERED = "the compute of the runs does not grow from size to size"
RATES = {
    "fixed": "All sizes were trained with one learning rate, neither chosen per size nor carried "
    "over by init=mup: what looks like a trend may be one of the rate.",
}


def ladder(several: Several, parts: Sequence[PartReport]) -> LadderReport:
    """The report of a ladder; parts: the smallest first, those that have a report."""
    first = parts[0].report
    sizes = {part.name: part.size for part in several.parts}
    rungs = [
        Rung(part.name, sizes[part.name], compute_of(part.report, part.baseline)) for part in parts
    ]
    rows, measured = [], {}
    for variant, short in labels(parts):
        effects = [part_effect(part, variant) for part in parts]
        row = LadderVariant(variant, short, effects, None, None, "")
        if variant != parts[0].baseline.variant:
            found = _measured(parts, variant)
            if isinstance(found, str):
                row = replace(row, why=found)
            else:
                measured[variant] = found
            row = replace(row, gain=_gain(parts, variant))
        rows.append(row)
    margin = first.margin.percent
    trend_of = dict(zip(measured, trends(list(measured.values()), margin=margin), strict=True))
    content = LadderReport(
        title=several.name,
        metric=first.metric,
        better=first.better,
        margin_percent=margin,
        rungs=rungs,
        variants=[replace(row, trend=trend_of.get(row.variant)) for row in rows],
        warnings=[*_doubts(several, parts), *warnings(parts)],
    )
    checked: LadderReport = finite(content)
    return checked


def _doubts(several: Several, parts: Sequence[PartReport]) -> list[str]:
    """What of the sizes themselves makes the answer doubtful."""
    found = [*several.doubts, *([RATES[several.rates]] if several.rates in RATES else [])]
    there = {part.name for part in parts}
    if missing := [part.name for part in several.parts if part.name not in there]:
        found.append(f"No report yet of {', '.join(missing)}: this is of the other sizes alone.")
    repeated = [p for p in several.parts if p.size is not None and p.size.epochs > 1]
    if repeated:
        shown = ", ".join(f"{p.name} {p.size.epochs:.1f} times" for p in repeated if p.size)
        found.append(f"Training data were read more than once: {shown}. Fresh data may differ.")
    metrics = sorted({part.report.metric for part in parts})
    if len(metrics) > 1:
        found.append(f"The sizes are compared by different metrics: {', '.join(metrics)}.")
    return found


def _measured(parts: Sequence[PartReport], variant: str) -> OverSizes | str:
    """The effects at all sizes, of the seeds that all have; or why there is no trend."""
    of_size = [(part, found) for part in parts if (found := percents(part, variant))]
    x = [compute_of(part.report, part.baseline) for part, _ in of_size]
    if len(of_size) < SIZES or None in x:
        return f"an effect at {len(of_size)} sizes; a trend needs {SIZES}"
    if not _grows(x):
        return UNORDERED
    seeds = sorted(set.intersection(*(set(found) for _, found in of_size)))
    if not seeds:
        return "no seed that all sizes have"
    effects = np.array([[found[seed] for _, found in of_size] for seed in seeds])
    ends = is_sure(of_size[0][0], variant), is_sure(of_size[-1][0], variant)
    return OverSizes(np.log10(np.array(x, dtype=float)).tolist(), effects, ends)


def _grows(amounts: Sequence[float | None]) -> bool:
    """Whether each is known and larger than the one before."""
    known = [amount for amount in amounts if amount is not None]
    return len(known) == len(amounts) and all(a < b for a, b in pairwise(known))


def _gain(parts: Sequence[PartReport], variant: str) -> Gain:
    """How much of the baseline's compute the variant needs."""

    def none(why: str) -> Gain:
        return Gain(None, None, None, None, None, None, [], [], why)

    if parts[0].report.better != "lower":
        return none("a curve of loss over compute is one of a loss")
    of_size = [(part, found) for part in parts if (found := percents(part, variant))]
    if len(of_size) < SIZES:
        return none(f"an effect at {len(of_size)} sizes; a curve needs {SIZES}")
    seeds = sorted(set.intersection(*(set(found) for _, found in of_size)))
    if not seeds:
        return none("no seed that all sizes have")
    both = [part.baseline.variant for part in parts[:1]] + [variant]
    compute = [
        [compute_of(part.report, row) if (row := part.row(name)) else None for part, _ in of_size]
        for name in both
    ]
    if any(value is None for row in compute for value in row):
        return none("runs that do not record their FLOPs")
    if not all(map(_grows, compute)):
        return none(UNORDERED)
    losses = [[values(part, name, seeds) for part, _ in of_size] for name in both]
    margin = parts[0].report.margin.percent / 100
    return gain(np.array(compute, dtype=float), np.array(losses), margin=margin)
