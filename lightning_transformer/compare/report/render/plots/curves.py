"""Loss over the length of training, and the paired difference from the baseline over it."""

from collections.abc import Sequence

import altair as alt

from lightning_transformer.compare.report.contents import Contents, CurveLine, PairedCurve
from lightning_transformer.compare.report.render.palette import LIGHT
from lightning_transformer.compare.report.render.plots.style import (
    HALF,
    MOST,
    Specification,
    data,
    extent,
    hover_points,
    names,
    series,
    specification,
    zoom,
)

TITLES = {"tokens": "training tokens", "seconds": "seconds of training"}


def loss_curves(report: Contents, axis: str) -> Specification | None:
    """Mean loss of each variant over tokens or seconds; the page can make y logarithmic."""
    lines = report.curves.over(axis)[:MOST] if report.curves else []
    if not lines or report.curves is None:
        return None
    marks = series(report, [line.variant for line in lines])
    low, high = _loss_range(lines)
    visible = marks.visible()
    chart = alt.Chart(data("lines")).transform_filter(visible)
    x = alt.X("x:Q", title=TITLES[axis], scale=alt.Scale(nice=False),
              axis=alt.Axis(format="~s", tickCount=5, grid=False))  # fmt: skip
    y = alt.Y("mean:Q", title=report.curves.series,
              scale=alt.Scale(type="linear", domain=[low, high], nice=False),
              axis=alt.Axis(tickCount=5))  # fmt: skip
    tooltip = [
        alt.Tooltip("name:N", title="variant"), alt.Tooltip("x:Q", title=TITLES[axis]),
        alt.Tooltip("mean:Q", title=report.curves.series, format=".4f"),
    ]  # fmt: skip
    drawn = chart.mark_line(clip=True, strokeWidth=1.8).encode(
        x=x, y=y, color=marks.colour(), strokeDash=marks.dash()
    )
    hover = hover_points(chart).encode(
        x=x, y=y, color=marks.colour(by_click=False), tooltip=tooltip
    )
    layered = alt.layer(drawn.add_params(visible, zoom()), hover)
    return specification(
        layered.properties(width=HALF, height=240, usermeta={"range": [low, high]}),
        f"{report.curves.series} over {TITLES[axis]}",
        lines=[
            {"name": name, "x": x, "mean": y}
            for name, line in zip(marks.names, lines, strict=True)
            for x, y in zip(line.x, line.mean, strict=True)
        ],
    )


def _loss_range(lines: Sequence[CurveLine]) -> tuple[float, float]:
    """From the lowest loss to where most lines are after a twelfth of the training."""
    start = sorted(line.mean[max(1, len(line.mean) // 12)] for line in lines)
    low = min(min(line.mean) for line in lines)
    low, high = extent([low, max(*(line.mean[-1] for line in lines), start[-1])], 0.05)
    return (low, high) if low > 0 or high <= 0 else (min(min(x.mean) for x in lines) * 0.95, high)


def difference_curves(report: Contents, axis: str) -> Specification | None:
    """One panel per variant: paired difference from the baseline, with its 95 % interval."""
    if report.curves is None:
        return None
    lines = [
        (line.variant, line.difference) for line in report.curves.over(axis) if line.difference
    ][:MOST]
    if not lines:
        return None
    marks = series(report, [variant for variant, _ in lines])
    drawn = list(_difference_range([d for _, d in lines]))
    scale = alt.Scale(domain=drawn, nice=False)
    at_zero = {"condition": {"test": "datum.value === 0", "value": LIGHT["quiet"]},
               "value": LIGHT["rule"]}  # fmt: skip
    chart = alt.Chart().encode(
        x=alt.X("x:Q", title=TITLES[axis], scale=alt.Scale(nice=False),
                axis=alt.Axis(format="~s", tickCount=4, grid=False)),
        color=marks.colour(by_click=False),
    )  # fmt: skip
    y = alt.Y("mean:Q", title=None, scale=scale, axis=alt.Axis(tickCount=4, gridColor=at_zero))
    tooltip = [
        alt.Tooltip("name:N", title="variant"), alt.Tooltip("x:Q", title=TITLES[axis]),
        alt.Tooltip("mean:Q", title="difference", format="+.4f"),
        alt.Tooltip("low:Q", title="95 % interval from", format="+.4f"),
        alt.Tooltip("high:Q", title="to", format="+.4f"),
    ]  # fmt: skip
    # an opacity of the fill: one of the mark makes PNG twice as slow
    band = chart.mark_area(clip=True, opacity=1, fillOpacity=0.16).encode(
        y=alt.Y("low:Q", title=None, scale=scale), y2="high:Q"
    )
    line = chart.mark_line(clip=True, strokeWidth=1.8).encode(y=y)
    hover = hover_points(chart).encode(y=y, tooltip=tooltip)
    panels = alt.layer(band, line, hover, data=data("differences")).properties(
        width=250, height=120
    )
    header = alt.Header(title=None, labelAnchor="start")
    faceted = panels.facet(facet=alt.Facet("name:N", header=header, sort=marks.names), columns=3)
    faceted = faceted.properties(usermeta={"range": drawn})
    short = names(report)
    return specification(
        faceted,
        f"Paired difference from the baseline over {TITLES[axis]}",
        differences=[row for variant, d in lines for row in _points(short[variant], d)],
    )


def _points(name: str, d: PairedCurve) -> list[dict[str, float | str | None]]:
    unknown: list[float | None] = [None] * len(d.x)
    low, high = d.low or unknown, d.high or unknown
    return [
        {"name": name, "x": x, "mean": mean, "low": a, "high": b}
        for x, mean, a, b in zip(d.x, d.mean, low, high, strict=True)
    ]


def _difference_range(lines: Sequence[PairedCurve]) -> tuple[float, float]:
    """Of the means without the first sixth, which would set the scale, and half as much around."""
    skip = [max(1, len(d.x) // 6) for d in lines]
    means = [v for d, n in zip(lines, skip, strict=True) for v in d.mean[n:]]
    low, high = extent([*means, 0.0], 0.0)
    room = 0.5 * (high - low)
    ends = [
        min(max(v, low - room), high + room)
        for d, n in zip(lines, skip, strict=True)
        for end in (d.low or d.mean, d.high or d.mean)
        for v in end[n:]
    ]
    return extent([*ends, low, high, 0.0])
