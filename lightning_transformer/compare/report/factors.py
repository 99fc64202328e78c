"""Two swept keys together: what a table of variants does not show."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from lightning_transformer.compare.report.contents import (
    Factors,
    Interaction,
)
from lightning_transformer.compare.report.design import Design
from lightning_transformer.compare.report.inference.statistics import holm, mean_interval, paired_p


def values_of(design: Design, label: str, seeds: Sequence[int]) -> list[float]:
    """The metric of a variant's runs, seed by seed."""
    found = [design.cells[label][seed].result.metrics[design.metric] for seed in seeds]
    return [float(value) for value in found if value is not None]


def factors(design: Design, ok: Mapping[str, list[int]]) -> Factors | None:
    """Means of two swept keys, and what a pair does beyond the sum of the two.

    ok: label to the seeds that have a value; an interaction is of those that all four share.
    """
    if len(design.by) != 2 or not design.values[design.baseline]:
        return None
    a, b = design.by
    grid = {(of[a], of[b]): label for label, of in design.values.items() if of and ok[label]}
    base = design.values[design.baseline][a], design.values[design.baseline][b]
    rows = sorted({x for x, _ in grid}, key=lambda x: (x != base[0], x))
    columns = sorted({y for _, y in grid}, key=lambda y: (y != base[1], y))
    if min(len(rows), len(columns)) < 2 or len(grid) < len(rows) * len(columns):
        return None
    found = [
        _interaction(design, ok, grid, (r, c), base) for r, c in product(rows[1:], columns[1:])
    ]
    tested = [one.p for one in found if one.p is not None]
    adjusted = iter(holm(tested).tolist())
    found = [replace(one, p_holm=None if one.p is None else next(adjusted)) for one in found]
    means = [
        [float(np.mean(values_of(design, grid[r, c], ok[grid[r, c]]))) for c in columns]
        for r in rows
    ]
    return Factors([a, b], rows, columns, means, found)


def why_no_factors(design: Design, ok: Mapping[str, list[int]]) -> str | None:
    """Why a report of several swept keys has no interactions."""
    if len(design.by) < 2 or factors(design, ok):
        return None
    if len(design.by) > 2:
        return f"not computed: of two swept keys, and here are {len(design.by)}"
    return "not computed: not every pair of values has a run to compare"


def _interaction(
    design: Design,
    ok: Mapping[str, list[int]],
    grid: Mapping[tuple[str, str], str],
    pair: tuple[str, str],
    base: tuple[str, str],
) -> Interaction:
    """y(pair) - y(row alone) - y(column alone) + y(baseline), at the seeds that all four have."""
    (row, column), low, high, p = pair, None, None, None
    labels = [grid[pair], grid[row, base[1]], grid[base[0], column], grid[base]]
    shared = sorted(set.intersection(*(set(ok[label]) for label in labels)))
    if not shared:
        return Interaction(row, column, None, None, None, None, None)
    y = [np.array(values_of(design, label, shared)) for label in labels]
    d = y[0] - y[1] - y[2] + y[3]
    if len(d) > 1:
        p = paired_p(d)
        if math.isnan(p):  # the same in all seeds
            p = None
        else:
            low, high = map(float, mean_interval(d))
    return Interaction(row, column, float(d.mean()), low, high, p, None)
