"""All plots of a report, and their pictures: SVG with plain colours, PDF and PNG."""

import json
import math
import re
from typing import NamedTuple

import altair as alt
import vl_convert

from lightning_transformer.compare.report.contents import Contents
from lightning_transformer.compare.report.render.plots.cost import COSTS, pareto
from lightning_transformer.compare.report.render.plots.curves import difference_curves, loss_curves
from lightning_transformer.compare.report.render.plots.forest import forest
from lightning_transformer.compare.report.render.plots.ranks import rank_lines
from lightning_transformer.compare.report.render.plots.rates import learning_rates
from lightning_transformer.compare.report.render.plots.style import Specification

VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


class Pictures(NamedTuple):
    """One plot in three formats."""

    svg: str
    pdf: bytes
    png: bytes


def all_plots(report: Contents) -> dict[str, Specification]:
    """File name to specification, of the plots that have data."""
    found = {
        "forest": forest(report),
        "loss_tokens": loss_curves(report, "tokens"),
        "loss_seconds": loss_curves(report, "seconds"),
        "difference_tokens": difference_curves(report, "tokens"),
        "difference_seconds": difference_curves(report, "seconds"),
        **{f"pareto_{key}": pareto(report, key, caption) for key, caption in COSTS},
        "learning_rates": learning_rates(report),
        "ranks": rank_lines(report),
    }
    return {name: plot for name, plot in found.items() if plot is not None}


def draw(plot: Specification) -> Pictures:
    """SVG is made once; PDF and PNG are made from it."""
    svg = to_svg(without_clips(plot))
    return Pictures(svg, vl_convert.svg_to_pdf(svg), vl_convert.svg_to_png(svg, scale=2))


def without_clips(plot: Specification) -> Specification:
    """The same plot with its data cut to the drawn range, which no picture leaves by zooming.

    PNG takes fifteen times as long with a clip path on each line.
    """
    found: Specification = json.loads(json.dumps(plot).replace('"clip": true', '"clip": false'))
    rows = found["datasets"]
    low, high = found.get("usermeta", {}).get("range", (-math.inf, math.inf))
    if "lines" in rows:
        rows["lines"] = [row for row in rows["lines"] if low <= row["mean"] <= high]
    for row in rows.get("differences", ()):
        for key in ("mean", "low", "high"):
            row[key] = None if row[key] is None else min(max(row[key], low), high)
    return found


def to_svg(plot: Specification) -> str:
    """The plot as SVG, which needs nothing else."""
    found: str = vl_convert.vegalite_to_svg(
        json.dumps(plot), vl_version=VEGA_LITE, allowed_base_urls=[]
    )
    # Vega goes on counting its clip paths from plot to plot: the same plot gets the same bytes.
    ids = list(dict.fromkeys(re.findall(r'id="(clip\d+)"', found)))
    return re.sub(r"\bclip\d+\b", lambda match: f"clip{ids.index(match[0])}", found)


def javascript() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    found: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)
    return found
