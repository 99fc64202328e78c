"""What each comparison says of a variant, in percent, so that sizes and tasks can be compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from lightning_transformer.compare.across.contents import PartEffect
from lightning_transformer.compare.report.contents import VariantRow
from lightning_transformer.compare.report.facts import median_of
from lightning_transformer.compare.report.inference.statistics import ALPHA
from lightning_transformer.compare.report.render import numbers
from lightning_transformer.compare.report.report import Report


@dataclass(frozen=True)
class PartReport:
    """A comparison's name and report."""

    name: str
    report: Report

    def row(self, variant: str) -> VariantRow | None:
        return next((row for row in self.report.variants if row.variant == variant), None)

    @property
    def baseline(self) -> VariantRow:
        return self.report.variants[0]


def labels(parts: Sequence[PartReport]) -> list[tuple[str, str]]:
    """Variant and short name, of all that any part has; the baseline first, then by name."""
    found = {row.variant: row.short for part in parts for row in part.report.variants}
    base = parts[0].baseline.variant
    return [(base, found.pop(base)), *sorted(found.items())]


def compute_of(report: Report, row: VariantRow) -> float | None:
    """Training FLOPs of a run: of a token, times the median of tokens read."""
    tokens = median_of(
        float(run["tokens"])
        for run in report.runs
        if run["variant"] == row.variant and run["state"] == "ok" and run["tokens"] is not None
    )
    return tokens * row.flops_per_token if tokens and row.flops_per_token else None


def scale_of(part: PartReport, row: VariantRow) -> float | None:
    """One percent of the baseline's mean, over the seeds that the variant shares with it."""
    values = [part.baseline.values.get(seed) for seed in row.differences or part.baseline.values]
    known = [value for value in values if value is not None]
    return abs(mean(known)) / 100 if known and mean(known) else None


def percents(part: PartReport, variant: str) -> dict[int, float]:
    """Seed to difference from the baseline, in percent of the baseline's mean."""
    row = part.row(variant)
    scale = scale_of(part, row) if row and row.effect and not row.incomparable else None
    if row is None or not scale:
        return {}
    return {int(seed): value / scale for seed, value in row.differences.items()}


def part_effect(part: PartReport, variant: str, sign: int = 1) -> PartEffect:
    """A variant in one comparison; sign: -1 turns differences round."""
    row = part.row(variant)
    if row is None:
        return PartEffect(part.name, None, None, 0, None, None, None, "no run")
    scale, effect = scale_of(part, row), row.effect
    low = high = delta = None
    if effect is not None and scale and not row.incomparable:
        delta = sign * effect.delta / scale
        if effect.low is not None and effect.high is not None:
            low, high = sorted((sign * effect.low / scale, sign * effect.high / scale))
    return PartEffect(
        part=part.name,
        compute=compute_of(part.report, row),
        mean=row.mean,
        n=sum(value is not None for value in row.values.values()),
        effect=delta,
        low=low,
        high=high,
        verdict=numbers.verdict(row),
    )


def is_sure(part: PartReport, variant: str) -> bool:
    """Whether a difference is surely not zero, after Holm over the variants of its comparison."""
    row = part.row(variant)
    return bool(row and row.effect and (p := row.effect.p_holm) is not None and p < ALPHA)


def values(part: PartReport, variant: str, seeds: Sequence[int]) -> NDArray[np.float64]:
    """The metric of a variant's runs at these seeds."""
    row = part.row(variant)
    assert row is not None, variant
    return np.array([row.values[str(seed)] for seed in seeds], dtype=float)


def warnings(parts: Sequence[PartReport]) -> list[str]:
    """What the comparisons' own reports warn of."""
    return [
        f"{part.name}: {text}"
        for part in parts
        for text in [
            *part.report.warnings,
            *(f"failed: {one.run}: {one.error}" for one in part.report.failures),
            *(["not finished"] if part.report.stage not in (None, "done") else []),
        ]
    ]
