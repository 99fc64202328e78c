"""Plots over several comparisons: loss and effect over compute; effects and profiles of tasks."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
from altair.utils.schemapi import debug_mode

from lightning_transformer.compare.across.contents import LadderContents, TasksContents
from lightning_transformer.compare.report.render.palette import LIGHT, SERIES
from lightning_transformer.compare.report.render.plots.style import (
    DASHES,
    SHAPES,
    Series,
    Specification,
    data,
    extent,
    specification,
)

WIDTH, HEIGHT = 560, 300
STEPS = 40  # points of a drawn curve


def all_plots(report: LadderContents | TasksContents) -> dict[str, Specification]:
    """File name to specification, of the plots that have data."""
    with debug_mode(False):  # tests validate the specifications
        if isinstance(report, LadderContents):
            found = {"loss_compute": loss_over_compute(report),
                     "effect_compute": effect_over_compute(report)}  # fmt: skip
        else:
            found = {"task_effects": task_effects(report), "profile": profile(report)}
    return {name: plot for name, plot in found.items() if plot is not None}


def marks(names: Sequence[str], *, baseline: bool = True) -> Series:
    """Marks of variants: the baseline, which is the first, in ink; or of the others alone."""
    n = len(SERIES)
    turns = [0, *((i // n) for i in range(len(names) - 1))]
    colours = [LIGHT["ink"], *(LIGHT[SERIES[i % n]] for i in range(len(names) - 1))]
    first = 0 if baseline else 1
    return Series(
        list(names[first:]),
        colours[first:],
        [DASHES[turn % len(DASHES)] for turn in turns[first:]],
        [SHAPES[turn % len(SHAPES)] for turn in turns[first:]],
    )


def _names(report: LadderContents | TasksContents) -> list[str]:
    return [row.short for row in report.variants]


def loss_over_compute(report: LadderContents) -> Specification | None:
    """Mean of the metric over compute, logarithmic, with the curves that were fitted."""
    means: list[dict[str, Any]] = [
        {"name": row.short, "compute": one.compute, "mean": one.mean, "size": one.part}
        for row in report.variants
        for one in row.sizes
        if one.compute is not None and one.mean is not None
    ]
    if not means:
        return None
    curves = _curves(report)
    x = _compute(report)
    y = alt.Y("mean:Q", title=report.metric, axis=alt.Axis(tickCount=6),
              scale=alt.Scale(domain=list(extent([one["mean"] for one in means], 0.08)),
                              nice=False))  # fmt: skip
    style = marks(_names(report))
    visible = style.visible()
    lines = (
        alt.Chart(data("fits"))
        .transform_filter(visible)
        .mark_line(strokeWidth=1.5, clip=True)
        .encode(x=x, y=y, color=style.colour(), detail="pair:N")
    )
    dots = (
        alt.Chart(data("means"))
        .transform_filter(visible)
        .mark_circle(size=80, opacity=1)
        .encode(
            x=x,
            y=y,
            color=style.colour(by_click=False),
            tooltip=[
                alt.Tooltip("name:N", title="variant"),
                alt.Tooltip("size:N"),
                alt.Tooltip("compute:Q", title="FLOPs", format=".3~e"),
                alt.Tooltip("mean:Q", title=report.metric, format=".4f"),
            ],
        )
    )
    chart = alt.layer(lines.add_params(visible), dots).properties(width=WIDTH, height=HEIGHT)
    return specification(chart, "Loss over compute", means=means, fits=curves)


def _curves(report: LadderContents) -> list[dict[str, Any]]:
    """Points of the fitted curves: of each pair of a variant and the baseline."""
    found: list[dict[str, Any]] = []
    base = report.variants[0]
    for row in report.variants[1:]:
        if row.gain is None or row.gain.ratio is None or row.gain.e is None:
            continue
        for who, log_a, b in zip((base, row), row.gain.log_a, row.gain.b, strict=True):
            ends = [one.compute for one in who.sizes if one.compute is not None]
            low, high = math.log(min(ends)), math.log(max(ends))
            for i in range(STEPS + 1):
                x = low + (high - low) * i / STEPS
                found.append({
                    "name": who.short, "pair": row.short, "compute": math.exp(x),
                    "mean": row.gain.e + math.exp(log_a - b * x),
                })  # fmt: skip
    return found


def effect_over_compute(report: LadderContents) -> Specification | None:
    """Difference from the baseline over compute, with intervals, trends and the margin."""
    others = report.variants[1:]
    effects = []
    for i, row in enumerate(others):
        for one in row.sizes:
            if one.effect is not None and one.compute is not None:
                apart = 1.04 ** (i - (len(others) - 1) / 2)  # so that bars do not hide each other
                effects.append({
                    "name": row.short, "size": one.part, "compute": one.compute * apart,
                    "flops": one.compute, "effect": one.effect, "low": one.low, "high": one.high,
                    "verdict": one.verdict,
                })  # fmt: skip
    if not effects:
        return None
    known = [rung.compute for rung in report.rungs if rung.compute is not None]
    slopes = [
        {"name": row.short, "compute": at, "effect": value}
        for row in others
        if row.trend is not None
        for at, value in ((min(known), row.trend.first), (max(known), row.trend.last))
    ]
    domain = extent([end for one in effects for end in (one["effect"], one["low"], one["high"])])
    domain = min(domain[0], -report.margin_percent), max(domain[1], report.margin_percent)
    x, style = _compute(report), marks(_names(report), baseline=False)
    title = f"{report.metric}, difference from {report.variants[0].short}, %"
    y, low_end = _y("effect", domain, title), _y("low", domain, title)
    visible = style.visible()
    chart = alt.Chart(data("effects")).transform_filter(visible)
    tips = [
        alt.Tooltip("name:N", title="variant"), alt.Tooltip("size:N"),
        alt.Tooltip("flops:Q", title="FLOPs", format=".3~e"),
        alt.Tooltip("effect:Q", title="difference, %", format="+.2f"),
        alt.Tooltip("low:Q", title="95 % interval from", format="+.2f"),
        alt.Tooltip("high:Q", title="to", format="+.2f"), alt.Tooltip("verdict:N"),
    ]  # fmt: skip
    band = alt.Chart(data("margin"))
    layers = alt.layer(
        band.mark_rect(color=LIGHT["band"]).encode(y=low_end, y2="high:Q"),
        band.mark_rule(color=LIGHT["quiet"]).encode(y=alt.Y(datum=0.0, title=title)),
        alt.Chart(data("slopes")).transform_filter(visible).mark_line(strokeWidth=1.2)
        .encode(x=x, y=y, color=style.colour()).add_params(visible),
        chart.mark_rule(strokeWidth=2).encode(
            x=x, y=low_end, y2="high:Q", color=style.colour(by_click=False)
        ),
        chart.mark_circle(size=80, opacity=1).encode(
            x=x, y=y, color=style.colour(by_click=False), tooltip=tips
        ),
    )  # fmt: skip
    return specification(
        layers.properties(width=WIDTH, height=HEIGHT), "Difference from the baseline over compute",
        effects=effects, slopes=slopes,
        margin=[{"low": -report.margin_percent, "high": report.margin_percent}],
    )  # fmt: skip


def _compute(report: LadderContents) -> alt.X:
    values = [one.compute for row in report.variants for one in row.sizes if one.compute]
    scale = alt.Scale(type="log", domain=[min(values) / 1.25, max(values) * 1.25], nice=False)
    axis = alt.Axis(format=".0e", grid=False, tickCount=5, labelOverlap=True)
    return alt.X("compute:Q", title="training FLOPs of a run, logarithmic", scale=scale, axis=axis)


def _y(field: str, domain: Sequence[float], title: str) -> alt.Y:
    scale = alt.Scale(domain=list(domain), nice=False, zero=False)
    return alt.Y(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6))


def task_effects(report: TasksContents) -> Specification | None:
    """Improvement of each variant on each task, with its interval and the margin."""
    others = report.variants[1:]
    effects: list[dict[str, Any]] = [
        {"name": row.short, "task": one.part, "effect": one.effect, "low": one.low,
         "high": one.high, "verdict": one.verdict}
        for row in others
        for one in row.tasks
        if one.effect is not None
    ]  # fmt: skip
    pooled: list[dict[str, Any]] = [
        {"name": row.short, "task": "all tasks", "effect": row.pooled.iqm, "low": row.pooled.low,
         "high": row.pooled.high, "verdict": row.pooled.verdict}
        for row in others
        if row.pooled is not None
    ]  # fmt: skip
    if not effects:
        return None
    rows = [*effects, *pooled]
    low, high = extent([end for one in rows for end in (one["effect"], one["low"], one["high"])])
    domain = [min(low, -report.margin_percent), max(high, report.margin_percent)]
    scale = alt.Scale(domain=domain, nice=False)
    title = f"improvement over {report.variants[0].short}, %; right is better"
    x = alt.X("effect:Q", title=title, scale=scale)
    order = [*(task.name for task in report.tasks), "all tasks"]
    y = alt.Y("task:N", title=None, scale=alt.Scale(domain=order),
              axis=alt.Axis(labelColor=LIGHT["ink"], labelFontSize=13, ticks=False))  # fmt: skip
    style = marks(_names(report), baseline=False)
    visible = style.visible()
    names = [row.short for row in others]
    offset = alt.YOffset("name:N", scale=alt.Scale(domain=names))
    chart = alt.Chart(data("effects")).transform_filter(visible)
    tips = [
        alt.Tooltip("name:N", title="variant"), alt.Tooltip("task:N"),
        alt.Tooltip("effect:Q", title="improvement, %", format="+.2f"),
        alt.Tooltip("low:Q", title="95 % interval from", format="+.2f"),
        alt.Tooltip("high:Q", title="to", format="+.2f"), alt.Tooltip("verdict:N"),
    ]  # fmt: skip
    band = alt.Chart(data("margin"))
    layers = alt.layer(
        band.mark_rect(color=LIGHT["band"]).encode(
            x=alt.X("low:Q", scale=scale, title=title), x2="high:Q"
        ),
        band.mark_rule(color=LIGHT["quiet"]).encode(x=alt.X(datum=0.0, title=title)),
        chart.mark_rule(strokeWidth=2).encode(
            x=alt.X("low:Q", scale=scale, title=title), x2="high:Q", y=y, yOffset=offset,
            color=style.colour(),
        ).add_params(visible),
        chart.mark_circle(size=80, opacity=1).encode(
            x=x, y=y, yOffset=offset, color=style.colour(by_click=False), tooltip=tips
        ),
    )  # fmt: skip
    height = (24 + 18 * len(others)) * len(order)
    return specification(
        layers.properties(width=WIDTH, height=height), "Improvement over the baseline by task",
        effects=rows, margin=[{"low": -report.margin_percent, "high": report.margin_percent}],
    )  # fmt: skip


def profile(report: TasksContents) -> Specification | None:
    """Share of runs above each improvement, of all tasks, with bands (Agarwal et al. 2021)."""
    rows = [
        {"name": row.short, "improvement": at, "share": share, "low": low, "high": high}
        for row in report.variants
        if row.profile is not None
        for at, share, low, high in zip(report.improvements, row.profile.share, row.profile.low,
                                        row.profile.high, strict=True)
    ]  # fmt: skip
    if not rows:
        return None
    style = marks(_names(report))
    visible = style.visible()
    ends = extent(report.improvements, 0.0)
    x = alt.X("improvement:Q", title=f"improvement over the mean of {report.variants[0].short}, %",
              scale=alt.Scale(domain=list(ends), nice=False))  # fmt: skip
    title = "share of runs above it"
    scale = alt.Scale(domain=[0, 1])
    chart = alt.Chart(data("profiles")).transform_filter(visible)
    # The line comes first: a layer without a legend before it would leave it without one as well.
    line = chart.mark_line(interpolate="step-before", strokeWidth=1.8).encode(
        x=x, y=alt.Y("share:Q", title=title, scale=scale), color=style.colour()
    )
    band = chart.mark_area(opacity=0.15, interpolate="step-before").encode(
        x=x, y=alt.Y("low:Q", title=title, scale=scale), y2="high:Q",
        color=style.colour(by_click=False),
    )  # fmt: skip
    layers = alt.layer(line.add_params(visible), band)
    return specification(
        layers.properties(width=WIDTH, height=HEIGHT), "Performance profile", profiles=rows
    )
