"""A report over several comparisons as one page without requests, and as Markdown."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from lightning_transformer.compare.across.contents import LadderContents, TasksContents
from lightning_transformer.compare.across.render import words
from lightning_transformer.compare.across.render.table import sentences, table
from lightning_transformer.compare.report.render.html import number_at, surroundings, text_at
from lightning_transformer.compare.report.render.markdown import cell, environment
from lightning_transformer.compare.report.render.plots.style import Specification

TEMPLATES = Path(__file__).with_name("templates")


def page(
    report: LadderContents | TasksContents, plots: dict[str, Specification], javascript: str
) -> str:
    """The page. A number carries its place in report.json as data-path.

    plots: name to specification. javascript: Vega, Vega-Lite and Vega-Embed.
    """
    found = environment(TEMPLATES, autoescape=True)
    found.globals |= {"num": number_at, "text": text_at, "words": words}
    return found.get_template(f"{report.kind}.html.j2").render(
        report=report, sentences=sentences(report), **surroundings(plots, javascript)
    )


def markdown(report: LadderContents | TasksContents, pictures: Sequence[str] = ()) -> str:
    """The report; pictures: names of the plots in report/."""
    found = environment(TEMPLATES, autoescape=False)
    found.filters |= {"cell": cell}
    found.globals |= {"words": words}
    template = found.get_template(f"{report.kind}.md.j2")
    return template.render(report=report, sentences=sentences(report), pictures=pictures)


def notebook(report: LadderContents | TasksContents, pictures: Sequence[str]) -> str:
    """The answers, the table and pictures (SVG), for a notebook."""
    heads, rows = table(report)
    return (
        environment(TEMPLATES, autoescape=True)
        .get_template("notebook.html.j2")
        .render(
            heads=heads,
            rows=rows,
            sentences=sentences(report),
            pictures=[Markup(svg) for svg in pictures],
        )
    )
