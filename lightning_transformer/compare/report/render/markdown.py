"""The report as Markdown, for an issue or a pull request."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lightning_transformer.compare.report.contents import Contents
from lightning_transformer.compare.report.render import numbers
from lightning_transformer.compare.report.render.scope import scope

TEMPLATES = Path(__file__).with_name("templates")


def markdown(report: Contents, pictures: Sequence[str] = ()) -> str:
    """The report; pictures: names of the plots in report/."""
    found = environment(autoescape=False)  # of HTML: `cell` escapes the bars of a table
    found.filters |= {"cell": cell}
    return found.get_template("report.md.j2").render(report=report, pictures=pictures)


def environment(*folders: Path, autoescape: bool) -> Environment:
    """What reads the templates of a report; folders: of others that use parts of them."""
    found = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES], encoding="utf-8"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=autoescape,
    )
    found.globals |= {"numbers": numbers, "scope": scope}
    return found


def cell(text: object) -> str:
    """Text in a table: a bar would end its cell, a line break its row."""
    return " ".join(str(text).replace("|", r"\|").splitlines())
