"""Two swept keys together, and the learning rate: what a table of variants does not show."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from lightning_transformer.compare.report.contents import (
    Factors,
    Interaction,
    LearningRates,
    RateCurve,
    VariantRow,
)
from lightning_transformer.compare.report.design import Design
from lightning_transformer.compare.report.statistics import (
    holm,
    lr_sensitivity,
    mean_interval,
    paired_p,
)


def values_of(design: Design, label: str, seeds: Sequence[int]) -> list[float]:
    """The metric of a variant's runs, seed by seed."""
    found = [design.cells[label][seed].result.metrics[design.metric] for seed in seeds]
    return [float(value) for value in found if value is not None]


def factors(design: Design, compared: Mapping[str, list[int]]) -> Factors | None:
    """Means of two swept keys, and what a pair does beyond the sum of the two."""
    if len(design.by) != 2 or design.baseline not in compared:
        return None
    a, b = design.by

    def of(label: str) -> dict[str, str]:
        return dict(part.partition("=")[::2] for part in label.split(","))

    grid = {(of(v).get(a, ""), of(v).get(b, "")): v for v in compared if a in of(v) and b in of(v)}
    base = (of(design.baseline)[a], of(design.baseline)[b])
    rows = sorted({x for x, _ in grid}, key=lambda x: (x != base[0], x))
    columns = sorted({y for _, y in grid}, key=lambda y: (y != base[1], y))
    if min(len(rows), len(columns)) < 2 or len(grid) < len(rows) * len(columns):
        return None
    y = {pair: np.array(values_of(design, label, compared[label])) for pair, label in grid.items()}
    found = []
    for r, c in product(rows[1:], columns[1:]):
        d = y[r, c] - y[r, base[1]] - y[base[0], c] + y[base]
        found.append(_interaction(r, c, d))
    p_values = [one.p for one in found if one.p is not None]
    if len(p_values) == len(found):
        adjusted = holm(p_values)
        found = [replace(one, p_holm=float(p)) for one, p in zip(found, adjusted, strict=True)]
    means = [[float(y[r, c].mean()) for c in columns] for r in rows]
    return Factors([a, b], rows, columns, means, found)


def _interaction(row: str, column: str, d: np.ndarray) -> Interaction:
    low = high = p = None
    if len(d) > 1:
        low, high = map(float, mean_interval(d))
        p = paired_p(d)
    return Interaction(row, column, float(d.mean()), low, high, p, None)


def learning_rates(design: Design, rows: Sequence[VariantRow]) -> LearningRates | None:
    """Loss over learning rate per variant, from the screening, or from runs that swept the rate."""
    lr = design.comparison.lr
    found = []
    for label, losses in sorted(lr.screening.items()):
        points = sorted((float(rate), loss) for rate, loss in losses.items())
        start = lr.loss_at_init.get(label)
        if points:
            found.append(RateCurve(
                variant=label,
                chosen=lr.chosen.get(label),
                rates=[rate for rate, _ in points],
                losses=[loss for _, loss in points],
                sensitivity=None if start is None else lr_sensitivity(dict(points), start),
                at_edge=label in lr.at_edge,
            ))  # fmt: skip
    if found:
        return LearningRates(lr.key, "val/loss", "screening", found)
    if "optimizer.lr" not in design.by:
        return None
    return LearningRates("optimizer.lr", design.metric, "the runs", _of_swept_rates(rows))


def _of_swept_rates(rows: Sequence[VariantRow]) -> list[RateCurve]:
    groups: dict[str, list[tuple[float, float | None]]] = {}
    for row in rows:
        parts = dict(part.partition("=")[::2] for part in row.variant.split(","))
        if "optimizer.lr" not in parts:
            continue
        rest = ",".join(f"{key}={value}" for key, value in parts.items() if key != "optimizer.lr")
        value = None if row.states["diverged"] else row.mean
        groups.setdefault(rest or "all", []).append((float(parts["optimizer.lr"]), value))
    found = []
    for label, points in sorted(groups.items()):
        points.sort()
        rates, losses = [rate for rate, _ in points], [loss for _, loss in points]
        found.append(RateCurve(label, None, rates, losses, None, False))
    return found
