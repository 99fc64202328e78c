"""The report as Markdown, for an issue or a pull request."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lightning_transformer.compare.report.contents import Contents
from lightning_transformer.compare.report.render import numbers
from lightning_transformer.compare.report.render.terminal import interval

TEMPLATES = Path(__file__).with_name("templates")


def markdown(report: Contents, pictures: Sequence[str] = ()) -> str:
    """The whole report; pictures: names of the plots that lie in report/."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # of HTML: Markdown escapes the bars of a table by `cell`
    )
    environment.globals |= {"numbers": numbers, "interval": interval}
    environment.filters |= {"cell": _cell}
    template = environment.get_template("report.md.j2")
    return template.render(report=report, pictures=pictures)


def _cell(text: object) -> str:
    """Text in a table: a bar would end its cell, a line break its row."""
    return " ".join(str(text).replace("|", r"\|").splitlines())
