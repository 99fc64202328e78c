"""Loss over learning rate, one line per variant."""

import altair as alt

from lightning_transformer.compare.report.contents import Contents
from lightning_transformer.compare.report.render.plots.style import (
    HALF,
    MOST,
    Specification,
    data,
    extent,
    series,
    specification,
)


def learning_rates(report: Contents) -> Specification | None:
    """A rate at which a variant diverged is a cross at the top."""
    found = report.learning_rates
    if not found or all(len(line.rates) < 2 for line in found.curves):
        return None
    curves = found.curves[:MOST]
    losses = [loss for line in curves for loss in line.losses if loss is not None]
    if not losses:
        return None
    marks = series(report, [line.variant for line in curves])
    visible = marks.visible()
    rates = sorted({rate for line in curves for rate in line.rates})
    x = alt.X(
        "rate:Q", title=f"{found.key}, logarithmic",
        axis=alt.Axis(values=rates, format="~g", grid=False, labelOverlap=True),
        scale=alt.Scale(type="log", domain=[rates[0] / 1.25, rates[-1] * 1.25], nice=False),
    )  # fmt: skip
    y = alt.Y("loss:Q", title=found.metric, axis=alt.Axis(tickCount=5),
              scale=alt.Scale(domain=list(extent(losses, 0.1)), nice=False))  # fmt: skip
    tooltip = [
        alt.Tooltip("name:N", title="variant"),
        alt.Tooltip("rate:Q", title=found.key),
        alt.Tooltip("loss:Q", title=found.metric, format=".4f"),
    ]
    chart = alt.Chart(data("rates")).transform_filter(visible)
    finished = chart.transform_filter("isValid(datum.loss)")
    line = finished.mark_line(strokeWidth=1.8).encode(
        x=x, y=y, color=marks.colour(), strokeDash=marks.dash()
    )
    dots = finished.mark_circle(size=60, opacity=1).encode(
        x=x, y=y, color=marks.colour(by_click=False), tooltip=tooltip
    )
    crosses = (
        chart.transform_filter("!isValid(datum.loss)")
        .mark_text(text="×", fontSize=18)
        .encode(x=x, y=alt.value(8), color=marks.colour(by_click=False), tooltip=tooltip[:2])
    )
    layered = alt.layer(line.add_params(visible), dots, crosses)
    return specification(
        layered.properties(width=HALF, height=240),
        "Loss over learning rate",
        rates=[
            {"name": name, "rate": rate, "loss": loss}
            for name, line in zip(marks.names, curves, strict=True)
            for rate, loss in zip(line.rates, line.losses, strict=True)
        ],
    )
