"""The rank of each variant at a quarter, half and all of the budget."""

import json

import altair as alt

from lightning_transformer.compare.report.contents import Contents
from lightning_transformer.compare.report.render.palette import LIGHT
from lightning_transformer.compare.report.render.plots.style import (
    MOST,
    Specification,
    data,
    series,
    specification,
)

WIDTH = 300


def rank_lines(report: Contents) -> Specification | None:
    """Lines of ranks, the best at the top, named at their ends."""
    if not report.ranks:
        return None
    rows = report.ranks.rows[:MOST]
    marks = series(report, [row.variant for row in rows])
    ends: dict[int, list[str]] = {}
    for name, row in zip(marks.names, rows, strict=True):
        ends.setdefault(row.ranks[-1], []).append(name)
    text = json.dumps({rank: ", ".join(found) for rank, found in ends.items()}, ensure_ascii=False)
    shares = [f"{share:g} %" for share in report.ranks.shares_percent]
    x = alt.X("share:N", sort=shares, title="of the budget", scale=alt.Scale(domain=shares),
              axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False))  # fmt: skip
    last = max(rank for row in rows for rank in row.ranks)
    y = alt.Y(
        "rank:Q", scale=alt.Scale(domain=[last + 0.5, 0.5], nice=False, zero=False),
        axis=alt.Axis(orient="right", values=sorted(ends), labelExpr=f"{text}[datum.value]",
                      title=None, grid=False, domain=False, ticks=False, labelColor=LIGHT["ink"],
                      labelFontSize=12),
    )  # fmt: skip
    chart = alt.Chart(data("ranks")).encode(
        x=x, y=y, color=marks.colour(by_click=False),
        tooltip=[alt.Tooltip("name:N", title="variant"), alt.Tooltip("share:N"),
                 alt.Tooltip("rank:Q"), alt.Tooltip("loss:Q", format=".4f")],
    )  # fmt: skip
    layered = alt.layer(chart.mark_line(strokeWidth=1.8), chart.mark_circle(size=80, opacity=1))
    return specification(
        layered.properties(width=WIDTH, height=24 * last + 10),
        "Rank over the budget",
        ranks=[
            {"name": name, "share": share, "rank": rank, "loss": loss}
            for name, row in zip(marks.names, rows, strict=True)
            for share, rank, loss in zip(shares, row.ranks, row.losses, strict=True)
        ],
    )
