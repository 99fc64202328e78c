"""What all plots share: fonts and lines, a colour per variant, and hiding a variant by a click."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from lightning_transformer.compare.report.contents import Contents
from lightning_transformer.compare.report.render.palette import LIGHT, SERIES

Specification = dict[str, Any]  # of Vega-Lite

MOST = 40  # variants, the best, that plots show
HOVER = "hover"  # name of a layer of transparent points with tooltips
HALF = 440  # width of a plot that has another beside it
DASHES = ([1, 0], [5, 3], [2, 2])
LEGEND = alt.Legend(title=None)
SHAPES = ("circle", "square", "diamond")

CONFIG: dict[str, Any] = {
    "background": LIGHT["paper"],
    "font": "Helvetica, Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "gridColor": LIGHT["rule"], "domainColor": LIGHT["quiet"], "tickColor": LIGHT["quiet"],
        "labelColor": LIGHT["quiet"], "titleColor": LIGHT["quiet"], "titleFontWeight": "normal",
        "labelFontSize": 11, "titleFontSize": 12, "titlePadding": 10,
    },
    "axisLeft": {"labelLimit": 190},
    "axisRight": {"labelLimit": 240},
    "legend": {
        "labelColor": LIGHT["ink"], "labelFontSize": 12, "labelLimit": 190, "symbolStrokeWidth": 2,
        "orient": "bottom", "columns": 3, "direction": "horizontal", "offset": 10,
        "symbolSize": 90,
    },
    "header": {"labelColor": LIGHT["ink"], "labelFontSize": 12, "labelFontWeight": "bold"},
    "text": {"fontSize": 13},
}  # fmt: skip


@dataclass(frozen=True)
class Series:
    """Variants of one plot, in the order of its legend, with their marks."""

    names: list[str]
    colours: list[str]
    dashes: list[list[int]]
    shapes: list[str]

    def colour(self, *, by_click: bool = True) -> alt.Color:
        legend = LEGEND if by_click else None
        return alt.Color("name:N", scale=self._scale(self.colours), legend=legend)

    def dash(self) -> alt.StrokeDash:
        return alt.StrokeDash("name:N", scale=self._scale(self.dashes), legend=LEGEND)

    def shape(self) -> alt.Shape:
        return alt.Shape("name:N", scale=self._scale(self.shapes), legend=LEGEND)

    def _scale(self, marks: Sequence[Any]) -> alt.Scale:
        return alt.Scale(domain=self.names, range=marks)

    def visible(self) -> alt.Parameter:
        """A click on a name of the legend hides it, a second one shows it again."""
        return alt.selection_point(
            name="visible",
            fields=["name"],
            bind="legend",
            toggle="true",
            clear=False,
            empty=False,
            value=[{"name": name} for name in self.names],
        )


def series(report: Contents, variants: Sequence[str]) -> Series:
    """Marks of the variants; each keeps its colour in all plots of a report."""
    base = report.baseline.variant
    others = sorted({row.variant for row in report.variants} - {base})
    extra = [variant for variant in variants if variant != base and variant not in others]
    place = {variant: i for i, variant in enumerate([*others, *extra])}
    short = names(report)
    colours, dashes, shapes = [], [], []
    for variant in variants:
        i = place.get(variant)
        turn = 0 if i is None else i // len(SERIES)
        colours.append(LIGHT["ink" if i is None else SERIES[i % len(SERIES)]])
        dashes.append(DASHES[turn % len(DASHES)])
        shapes.append(SHAPES[turn % len(SHAPES)])
    labels = [short.get(v, v.partition("=")[2] or v) for v in variants]
    return Series(labels, colours, dashes, shapes)


def names(report: Contents) -> dict[str, str]:
    """Variant to the name that plots show."""
    return {row.variant: row.short for row in report.variants}


def data(name: str) -> alt.NamedData:
    """Rows of a plot; `specification` holds them."""
    return alt.NamedData(name=name)


def specification(chart: Any, description: str, **rows: list[dict[str, Any]]) -> Specification:
    """The Vega-Lite specification of a chart with its data."""
    found: Specification = chart.to_dict(validate=False)
    found["description"] = description
    found["config"] = CONFIG
    found["datasets"] = rows
    return found


def hover_points(chart: alt.Chart) -> alt.Chart:
    """Transparent points, which are easier to meet with the mouse than a line."""
    return chart.mark_point(clip=True, opacity=0, size=80, filled=True).properties(name=HOVER)


def zoom() -> alt.Parameter:
    """Drag moves, Shift and the wheel zoom: the wheel alone scrolls the page."""
    return alt.selection_interval(name="zoom", bind="scales", zoom="wheel![event.shiftKey]")


def extent(values: Iterable[float | None], margin: float = 0.05) -> tuple[float, float]:
    """Smallest and largest, with room around."""
    known = [v for v in values if v is not None]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    # where all are alike there is no span to take a share of
    room = (high - low) * margin if high > low else abs(high) * 0.05 or 1.0
    return low - room, high + room
