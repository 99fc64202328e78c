"""The effect of each variant on what was measured again, such as the loss of longer rows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from lightning_transformer.compare.report.design import Design
from lightning_transformer.compare.report.inference.statistics import paired_effects
from lightning_transformer.runs.metric_direction import lower_is_better

PREFIX = "eval["


@dataclass(frozen=True)
class FurtherEffect:
    """Mean of a variant, and its difference from the baseline over the n seeds that they share.

    low, high: its 95 % interval by itself, not adjusted for the number of variants or metrics; None
    for one seed.
    """

    variant: str
    short: str
    n: int
    mean: float | None
    delta: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class FurtherMetric:
    """A metric that the verdicts are not about, the baseline first."""

    metric: str
    rows: list[FurtherEffect]


def further_metrics(
    design: Design, short: Mapping[str, str], ok: Mapping[str, Sequence[int]]
) -> list[FurtherMetric]:
    """What runs were measured for again, all but the compared metric itself.

    short: label to shown name, in the order of the rows. ok: label to seeds with a result.
    """
    known = {name for run in design.runs for name in run.result.metrics}
    names = sorted(name for name in known - {design.metric} if name.startswith(PREFIX))
    return [FurtherMetric(name, _rows(design, name, short, ok)) for name in names]


def _rows(
    design: Design, name: str, short: Mapping[str, str], ok: Mapping[str, Sequence[int]]
) -> list[FurtherEffect]:
    values = {label: _values(design, label, name, ok[label]) for label in short}
    base = values[design.baseline]
    rows = []
    for label, own in values.items():
        average = mean(own.values()) if own else None
        shared = [] if label == design.baseline else sorted(own.keys() & base.keys())
        if not shared:
            row = FurtherEffect(label, short[label], len(own), average, None, None, None)
        else:
            # One at a time: no other variant is in its family.
            (effect,) = paired_effects(
                [[own[seed] - base[seed] for seed in shared]],
                margin=0.0,
                scale=max(map(abs, base.values())),
                lower_is_better=lower_is_better(name) is not False,
                looks=design.comparison.looks,
            )
            row = FurtherEffect(
                label, short[label], len(shared), average, effect.delta, effect.low, effect.high
            )
        rows.append(row)
    return rows


def _values(design: Design, label: str, name: str, seeds: Sequence[int]) -> dict[int, float]:
    """Seed to value, where it is finite."""
    found = {seed: design.cells[label][seed].result.metrics.get(name) for seed in seeds}
    return {s: value for s, value in found.items() if value is not None and math.isfinite(value)}
