"""All plots of a report, and their pictures: SVG with plain colours, PDF and PNG."""

import json
import math
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import altair as alt
import vl_convert
from altair.utils.schemapi import debug_mode

from lightning_transformer.compare.report.contents import Contents
from lightning_transformer.compare.report.render.plots.cost import COSTS, pareto
from lightning_transformer.compare.report.render.plots.curves import difference_curves, loss_curves
from lightning_transformer.compare.report.render.plots.forest import forest
from lightning_transformer.compare.report.render.plots.ranks import rank_lines
from lightning_transformer.compare.report.render.plots.rates import learning_rates
from lightning_transformer.compare.report.render.plots.style import HOVER, Specification
from lightning_transformer.data.cache import cached
from lightning_transformer.runs.atomic import write_atomically

SCRIPT = "window.vegaEmbed = vegaEmbed;"
VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


class Pictures(NamedTuple):
    """One plot in three formats."""

    svg: str
    pdf: bytes
    png: bytes


def all_plots(report: Contents) -> dict[str, Specification]:
    """File name to specification, of the plots that have data."""
    with debug_mode(False):  # tests validate the specifications; each run would pay for it
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


def write_pictures(plots: Mapping[str, Specification], folder: Path) -> None:
    """Write each plot in all formats, named as the plot."""
    folder.mkdir(exist_ok=True)
    for name, plot in plots.items():
        for end, picture in draw(plot)._asdict().items():
            write_atomically(folder / f"{name}.{end}", picture)


def draw(plot: Specification) -> Pictures:
    """SVG is made once; PDF and PNG are made from it."""
    svg = to_svg(still(plot))
    return Pictures(svg, vl_convert.svg_to_pdf(svg), vl_convert.svg_to_png(svg, scale=2))


def still(plot: Specification) -> Specification:
    """The plot without what only a page needs: clip paths, and the points that the mouse finds.

    No picture leaves the drawn range by zooming, so its data are cut to it instead: PNG takes
    fifteen times as long with a clip path on each line.
    """
    found: Specification = json.loads(json.dumps(plot).replace('"clip": true', '"clip": false'))
    chart, rows = found.get("spec", found), found["datasets"]
    chart["layer"] = [layer for layer in chart["layer"] if layer.get("name") != HOVER]
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
    """Vega, Vega-Lite and Vega-Embed as one script; cached, because making it takes seconds."""
    return cached(
        "vega_embed",
        f"{version('vl-convert-python')}-{VEGA_LITE}",
        lambda: vl_convert.javascript_bundle(SCRIPT, vl_version=VEGA_LITE),
    )
