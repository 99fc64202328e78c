"""Curves of runs that were logged at different steps: brought onto one axis, and paired."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from lightning_transformer.compare.report.contents import (
    CurveLine,
    Curves,
    PairedCurve,
    RankRow,
    Ranks,
    finite,
)
from lightning_transformer.compare.report.design import Design
from lightning_transformer.compare.report.inference.statistics import mean_interval
from lightning_transformer.compare.report.load import Run

N_POINTS = 48
FEWEST = 4  # validations, to draw a curve of them
SHARES = (0.25, 0.5, 1.0)  # of the budget
STABLE = 0.8  # a lower tau: the order was still changing


def series_of(runs: Sequence[Run]) -> str | None:
    """The values that all runs have logged often enough: val/loss, or else train/loss."""
    for name in ("val/loss", "train/loss"):
        if runs and all(len(_finite_points(run.history.get(name, []))) >= FEWEST for run in runs):
            return name
    return None


def _finite_points(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    return [(step, value) for step, value in points if math.isfinite(value)]


def curve(run: Run, name: str, axis: str) -> tuple[np.ndarray, np.ndarray]:
    """x and y of a run; axis: ``tokens``, ``seconds`` or ``share`` (of its steps)."""
    points = _finite_points(run.history[name])
    steps = np.array([step for step, _ in points], dtype=float)
    y = np.array([value for _, value in points])
    if axis == "share":
        return steps / max(run.result.steps or 0, steps[-1], 1), y
    known = run.history.get("perf/tokens" if axis == "tokens" else "seconds", [])
    if known:
        return np.interp(steps, *np.array(known, dtype=float).T), y
    total = run.result.tokens_seen if axis == "tokens" else run.result.seconds
    return steps / max(run.result.steps or 0, steps[-1], 1) * (total or 0), y


def over_both_axes(
    design: Design,
    cells: Mapping[str, Sequence[int]],
    pairs: Mapping[str, Sequence[int]],
    name: str,
) -> Curves:
    """Mean line per variant, and its paired difference from the baseline with a 95 % interval.

    cells: label to the seeds that are drawn, pairs: to those that are compared with the baseline.
    Lines are interpolated onto the baseline's own x.
    """
    axes = ("tokens", "seconds")
    return Curves(name, *(_lines(design, cells, pairs, name, axis) for axis in axes))


def _lines(
    design: Design,
    cells: Mapping[str, Sequence[int]],
    pairs: Mapping[str, Sequence[int]],
    name: str,
    axis: str,
) -> list[CurveLine]:
    drawn = {
        label: {seed: curve(design.cells[label][seed], name, axis) for seed in seeds}
        for label, seeds in cells.items()
    }
    base = drawn.get(design.baseline, {})
    lines = []
    for label, row in drawn.items():
        grid = _grid(list(row.values()))
        mean = np.mean([np.interp(grid, x, y) for x, y in row.values()], axis=0)
        shared = pairs[label]
        difference = None
        if label != design.baseline and shared:
            difference = _paired([row[s] for s in shared], [base[s] for s in shared])
        lines.append(CurveLine(label, _list(grid), _list(mean), difference))
    return lines


def _grid(row: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The x of the first, thinned, where all of them are."""
    low, high = max(x[0] for x, _ in row), min(x[-1] for x, _ in row)
    x = row[0][0]
    x = x[(x >= low) & (x <= high)]
    if len(x) < 2:
        return np.linspace(low, max(high, low), 2)
    keep = np.unique(np.linspace(0, len(x) - 1, min(N_POINTS, len(x))).round().astype(int))
    return x[keep]


def _paired(ours: Sequence[Any], base: Sequence[Any]) -> PairedCurve:
    grid = _grid([*base, *ours])
    pairs = zip(ours, base, strict=True)
    d = np.array([np.interp(grid, *one) - np.interp(grid, *other) for one, other in pairs])
    n = len(d)
    found = PairedCurve(_list(grid), _list(d.mean(axis=0)), n)
    if n == 1:
        return found
    low, high = mean_interval(d)
    return replace(found, low=_list(low), high=_list(high))


def _list(values: np.ndarray) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


def ranks(design: Design, cells: Mapping[str, Sequence[int]], name: str) -> Ranks | None:
    """Whether the order was still changing: rankings at a quarter, half and all of the budget."""
    if len(cells) < 2:
        return None
    labels = list(cells)
    at = [[_loss_at(share, design, label, cells[label], name) for label in labels]
          for share in SHARES]  # fmt: skip
    _, half, last = at
    rows = [
        RankRow(label, [losses[i] for losses in at], [1 + sorted(x).index(x[i]) for x in at])
        for i, label in enumerate(labels)
    ]
    tau = [kendall_tau(losses, last) for losses in at[:2]]
    crossed = [
        [labels[a], labels[b]]
        for a, b in combinations(range(len(labels)), 2)
        if (half[a] - half[b]) * (last[a] - last[b]) < 0
    ]
    return Ranks(
        series=name,
        shares_percent=[100 * share for share in SHARES],
        rows=sorted(rows, key=lambda row: row.losses[-1]),
        tau_25=finite(tau[0]),
        tau_50=finite(tau[1]),
        still_changing=bool(tau[1] < STABLE),
        crossed=crossed,
    )


def _loss_at(share: float, design: Design, label: str, seeds: Sequence[int], name: str) -> float:
    """Mean loss of a variant's runs at a share of their steps."""
    runs = [design.cells[label][seed] for seed in seeds]
    return float(np.mean([np.interp(share, *curve(run, name, "share")) for run in runs]))


def kendall_tau(a: Sequence[float], b: Sequence[float]) -> float:
    """Kendall's tau-b of two rankings: 1 the same, -1 the reverse, nan if all are tied (1938)."""
    if len(a) != len(b):
        raise ValueError(f"rankings of {len(a)} and {len(b)} must be of one length")
    from scipy.stats import kendalltau

    return float(kendalltau(a, b)[0])
