"""Quality against a cost, with the front of the variants that no other beats in both."""

import math
from typing import Any

import altair as alt

from lightning_transformer.compare.report.contents import Contents, VariantRow
from lightning_transformer.compare.report.render.palette import LIGHT
from lightning_transformer.compare.report.render.plots.style import (
    HALF,
    MOST,
    Specification,
    data,
    extent,
    series,
    specification,
    zoom,
)

COSTS = (
    ("seconds", "seconds of training"),
    ("flops_per_token", "training FLOPs per token"),
    ("memory_mib", "peak memory, MiB"),
)


def pareto(report: Contents, key: str, caption: str) -> Specification | None:
    """Points of variants and the dashed front; key: the cost, a field of `VariantRow`."""
    rows = [row for row in report.variants if row.mean is not None and getattr(row, key)][:MOST]
    costs = [getattr(row, key) for row in rows]
    if len(set(costs)) < 2:
        return None
    marks = series(report, [row.variant for row in rows])
    xs, ys = extent(costs, 0.14), extent((row.mean for row in rows), 0.14)
    visible = marks.visible()
    x = alt.X("cost:Q", title=caption, axis=alt.Axis(format="~s", tickCount=5),
              scale=alt.Scale(domain=list(xs), nice=False, zero=False))  # fmt: skip
    y = alt.Y("mean:Q", title=report.metric, axis=alt.Axis(tickCount=5),
              scale=alt.Scale(domain=list(ys), nice=False, zero=False))  # fmt: skip
    tooltip = [
        alt.Tooltip("name:N", title="variant"),
        alt.Tooltip("mean:Q", title=report.metric, format=".4f"),
        alt.Tooltip("cost:Q", title=caption, format=",.4~r"),
    ]
    points = (
        alt.Chart(data("variants"))
        .transform_filter(visible)
        .mark_point(size=90, filled=True, opacity=1, clip=True)
        .encode(x=x, y=y, color=marks.colour(), shape=marks.shape(), tooltip=tooltip)
    )
    front = alt.Chart(data("front")).mark_line(
        interpolate="step-after", strokeDash=[5, 3], strokeWidth=1.2, color=LIGHT["quiet"],
        clip=True,
    ).encode(x=x, y=y)  # fmt: skip
    chart = alt.layer(front, points.add_params(visible, zoom()))
    return specification(
        chart.properties(width=HALF, height=240),
        f"{report.metric} against {caption}",
        variants=[
            {"name": row.short, "cost": cost, "mean": row.mean}
            for row, cost in zip(rows, costs, strict=True)
        ],
        front=_front(rows, key, lower=report.better == "lower", end=xs[1]),
    )


def _front(rows: list[VariantRow], key: str, *, lower: bool, end: float) -> list[dict[str, Any]]:
    sign = 1 if lower else -1
    front: list[dict[str, Any]] = []
    best = math.inf
    for cost, value, mean in sorted(
        (getattr(r, key), sign * (r.mean or 0.0), r.mean) for r in rows
    ):
        if value < best:
            best = value
            front.append({"cost": cost, "mean": mean})
    return [*front, {"cost": end, "mean": front[-1]["mean"]}]
