"""The report as one page without requests, light and dark."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from jinja2 import Template
from markupsafe import Markup

from lightning_transformer.compare.report.contents import Contents
from lightning_transformer.compare.report.render import numbers
from lightning_transformer.compare.report.render.markdown import environment
from lightning_transformer.compare.report.render.palette import (
    DARK,
    LIGHT,
    dark_for_light,
    variables,
)
from lightning_transformer.compare.report.render.plots.style import MOST, Specification


def page(report: Contents, plots: dict[str, Specification], javascript: str) -> str:
    """The page. A number carries its place in report.json as data-path.

    plots: name to specification. javascript: Vega, Vega-Lite and Vega-Embed.
    """
    return _template("report.html.j2").render(
        report=report, heat=_heat(report), **surroundings(plots, javascript)
    )


def surroundings(plots: dict[str, Specification], javascript: str) -> dict[str, Any]:
    """What the template of a page needs besides its report: colours, plots, scripts."""
    return {
        "plots": plots,
        "light": variables(LIGHT),
        "dark": variables(DARK),
        "plots_json": script(json.dumps(plots, ensure_ascii=False, allow_nan=False)),
        "dark_json": script(json.dumps(dark_for_light())),
        "javascript": script(javascript),
    }


def notebook(report: Contents, pictures: Sequence[str]) -> str:
    """The answer, the table of variants and pictures (SVG), for a notebook."""
    template = _template("notebook.html.j2")
    return template.render(report=report, pictures=[Markup(svg) for svg in pictures])


def _template(name: str) -> Template:
    found = environment(autoescape=True)
    found.globals |= {"num": number_at, "text": text_at, "MOST": MOST}
    return found.get_template(name)


def number_at(place: str, value: Any, form: Callable[[Any], str] = numbers.number) -> str | Markup:
    """A number with its place in report.json, a JSON pointer."""
    if value is None:
        return numbers.NOTHING
    return Markup('<span data-path="{}">{}</span>').format(place, form(value))


def text_at(place: str, text: Any) -> Markup:
    """Text with its place in report.json."""
    return Markup('<span data-path="{}" data-text>{}</span>').format(place, text)


def _heat(report: Contents) -> Callable[[float], str]:
    """Background of a difference: blue is better, orange worse, stronger for a larger one."""
    most = max((abs(d) for row in report.variants for d in row.differences.values()), default=0.0)

    def background(difference: float) -> str:
        colour = "s1" if (difference < 0) == (report.better == "lower") else "s2"
        share = round(45 * abs(difference) / (most or 1.0))
        return f"background:color-mix(in srgb,var(--{colour}) {share}%,var(--paper))"

    return background


def script(text: str) -> Markup:
    """Text inside <script>, which only `</script` or `<!--` would end."""
    return Markup(text.replace("</script", "<\\/script").replace("<!--", "<\\!--"))
