"""Difference of every variant from the baseline, with its 95 % interval and every seed."""

import json
from collections.abc import Sequence
from typing import Any

import altair as alt

from lightning_transformer.compare.report.contents import Contents, VariantEffect, VariantRow
from lightning_transformer.compare.report.render.numbers import (
    has_sure_sign,
    noise,
    signed,
    verdict,
)
from lightning_transformer.compare.report.render.palette import LIGHT
from lightning_transformer.compare.report.render.plots.style import (
    MOST,
    Specification,
    data,
    extent,
    specification,
)

SHORT = {
    "unresolved": "not significant",
    "withheld": "not tested",
    "no inference": "not tested",
    "no spread": "not tested",
    "smaller than the margin": "small",
}
COLOURS = {"better": "s1", "diverges less": "s1", "worse": "s2", "diverges more": "s2"}
FAR = 20.0  # times the next variant's difference: not on the same scale
DIFFERENCE = "+.4f"
GAP = "\u00a0" * 8  # plain spaces are drawn as one
HIDDEN = "indexof(hidden, {}) >= 0"
NARROW = 330  # pixels: below, there is no room for the verdict beside the number


def forest(report: Contents) -> Specification | None:
    """The large dot is the mean, the line its interval, small dots are seeds, the band the margin.

    The pale bar is the interval of the seeds alone, where there are other sources of noise.

    What lies beyond the drawn range is drawn at its edge, the mean as an arrow. On the page a click
    on a name hides it (page.js).
    """
    rows = [(row, row.effect) for row in report.variants if row.effect]
    if not rows:
        return None
    rows, more = rows[:MOST], len(rows) - MOST
    low, high = _range(rows, report.margin.absolute)
    effects = [_effect(row, effect, low, high) for row, effect in rows]
    chart = alt.layer(*_layers(effects, (low, high), _title(report, more)))
    chart = chart.resolve_axis(y="independent").properties(width=560, height=32 * len(rows))
    chart = chart.add_params(alt.param(name="hidden", value=[]))
    return specification(
        chart,
        f"Difference in {report.metric} from the baseline",
        effects=effects,
        seeds=[seed for row, _ in rows for seed in _seeds(report, row)],
        margin=[{"low": -report.margin.absolute, "high": report.margin.absolute}],
    )


def _title(report: Contents, more: int) -> list[str]:
    left, right = "better", "worse"
    if report.better == "higher":
        left, right = right, left
    return [
        f"← {left}{GAP}{right} →",
        f"{report.metric}, difference from {report.variants[0].short}"
        + (f"; {more} more in the table" if more > 0 else ""),
    ]


def label(row: VariantRow) -> str:
    """The verdict in the words that there is room for; the table has it in full."""
    if row.verdict == "unresolved" and row.effect and has_sure_sign(row.effect):
        return "differs"
    return SHORT.get(row.verdict, row.verdict)


def _effect(row: VariantRow, effect: VariantEffect, low: float, high: float) -> dict[str, Any]:
    beyond = "left" if effect.delta < low else "right" if effect.delta > high else None
    return {
        "name": row.short, "variant": row.variant, "delta": effect.delta, "low": effect.low,
        "high": effect.high, "p_holm": effect.p_holm, "n": effect.n, "verdict": verdict(row),
        "label": label(row), "colour": _colour(row), "beyond": beyond,
        "seeds_low": effect.seeds_low, "seeds_high": effect.seeds_high,
        "probability_better": effect.probability_better, "noise": noise(effect),
    }  # fmt: skip


def _seeds(report: Contents, row: VariantRow) -> list[dict[str, Any]]:
    folders = {run["seed"]: run["folder"] for run in report.runs if run["variant"] == row.variant}
    return [
        {
            "name": row.short, "seed": int(seed), "delta": difference, "value": row.values[seed],
            "folder": folders.get(int(seed)), "colour": _colour(row),
        }
        for seed, difference in sorted(row.differences.items(), key=lambda pair: int(pair[0]))
    ]  # fmt: skip


def _range(rows: Sequence[tuple[VariantRow, VariantEffect]], margin: float) -> tuple[float, float]:
    """All dots, and the intervals that do not reach far beyond them (two seeds).

    A variant that is FAR times as far off as the next one is left out, or the others would lie on
    one spot.
    """
    rows = sorted(rows, key=lambda pair: abs(pair[1].delta))
    while len(rows) > 2 and abs(rows[-1][1].delta) > FAR * max(abs(rows[-2][1].delta), margin):
        rows = rows[:-1]
    dots = [d for row, _ in rows for d in row.differences.values()] + [-margin, margin, 0.0]
    low, high = min(dots), max(dots)
    span = high - low or 1.0
    ends = [end for _, effect in rows for end in (effect.low, effect.high)]
    near = [end for end in ends if end is not None and low - span < end < high + span]
    return extent([low, high, *near], 0.04)


def _colour(row: VariantRow) -> str:
    return LIGHT[COLOURS.get(row.verdict, "ink")]


def _layers(
    effects: list[dict[str, Any]], domain: tuple[float, float], title: list[str]
) -> list[alt.Chart]:
    """Margin, zero, interval, its part of the seeds alone, seeds, mean, arrow, text."""
    scale = alt.Scale(domain=list(domain), clamp=True, nice=False, zero=False)
    axis = alt.Axis(domain=False, tickCount=6, title=title)
    order = [row["name"] for row in effects]

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", scale=scale, axis=axis)

    def y(axis: alt.Axis | None = None) -> alt.Y:
        return alt.Y("name:N", scale=alt.Scale(domain=order), axis=axis)

    colour = alt.Color("colour:N", scale=None, legend=None)
    margin = alt.Chart(data("margin"))
    chart, seeds = (
        alt.Chart(data(name)).transform_filter(f"!({HIDDEN.format('datum.name')})")
        for name in ("effects", "seeds")
    )
    known = chart.transform_filter("isValid(datum.low)")
    wider = chart.transform_filter("datum.seeds_low > datum.low")
    inside = chart.transform_filter("!isValid(datum.beyond)")
    beyond = chart.transform_filter("isValid(datum.beyond)")
    arrows = alt.Scale(domain=["left", "right"], range=["triangle-left", "triangle-right"])
    arrow = alt.Shape("beyond:N", scale=arrows, legend=None)
    tips, seed_tips = _tooltips()
    return [
        margin.mark_rect(color=LIGHT["band"]).encode(x=x("low"), x2="high:Q"),
        margin.mark_rule(color=LIGHT["quiet"]).encode(x=alt.datum(0.0)),
        known.mark_rule(strokeWidth=2.2).encode(x=x("low"), x2="high:Q", y=y(), color=colour),
        wider.mark_rule(strokeWidth=7, opacity=0.35).encode(
            x=x("seeds_low"), x2="seeds_high:Q", y=y(), color=colour
        ),
        seeds.mark_circle(size=40, opacity=1, fillOpacity=0.45).encode(
            x=x("delta"), y=y(), color=colour, tooltip=seed_tips
        ),
        inside.mark_circle(size=110, opacity=1).encode(
            x=x("delta"), y=y(_names()), color=colour, tooltip=tips
        ),
        beyond.mark_point(size=110, filled=True, opacity=1).encode(
            x=x("delta"), y=y(), color=colour, shape=arrow, tooltip=tips
        ),
        chart.mark_point(opacity=0).encode(x=x("delta"), y=y(_numbers(effects)), tooltip=tips),
    ]


def _tooltips() -> tuple[list[alt.Tooltip], list[alt.Tooltip]]:
    """Of a mean, and of a seed."""
    difference = alt.Tooltip("delta:Q", title="difference", format=DIFFERENCE)
    mean = [
        alt.Tooltip("variant:N"), difference,
        alt.Tooltip("low:Q", title="95 % interval from", format=DIFFERENCE),
        alt.Tooltip("high:Q", title="to", format=DIFFERENCE),
        alt.Tooltip("noise:N", title="standard errors"),
        alt.Tooltip("p_holm:Q", title="Holm p", format=".4f"),
        alt.Tooltip("probability_better:Q", title="P(better)", format=".2f"),
        alt.Tooltip("n:Q", title="seeds"), alt.Tooltip("verdict:N"),
    ]  # fmt: skip
    seed = [
        alt.Tooltip("name:N", title="variant"), alt.Tooltip("seed:Q"),
        alt.Tooltip("value:Q", format=".4f"), difference, alt.Tooltip("folder:N"),
    ]  # fmt: skip
    return mean, seed


def _names(orient: Any = "left", label: Any = alt.Undefined) -> alt.Axis:
    """Variants on the y axis; label: an expression for what to write instead of the name."""
    pale = {"condition": {"test": HIDDEN.format("datum.value"), "value": 0.35}, "value": 1}
    return alt.Axis(
        title=None, orient=orient, labelColor=LIGHT["ink"], labelFontSize=13, labelOpacity=pale,
        grid=False, domain=False, ticks=False, labelPadding=12, labelExpr=label,
    )  # fmt: skip


def _numbers(effects: list[dict[str, Any]]) -> alt.Axis:
    """Difference and verdict, as the labels of an axis at the right."""
    number = {row["name"]: signed(row["delta"]) for row in effects}
    text = {row["name"]: f"{number[row['name']]}\u00a0\u00a0{row['label']}" for row in effects}
    long, short = (json.dumps(found, ensure_ascii=False) for found in (text, number))
    return _names("right", f"width < {NARROW} ? {short}[datum.value] : {long}[datum.value]")
