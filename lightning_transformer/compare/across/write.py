"""From the folders of several comparisons to their reports, and one over all."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from lightning_transformer.compare.across.effects import PartReport
from lightning_transformer.compare.across.ladder import ladder
from lightning_transformer.compare.across.parts import LADDER, Several, read_several
from lightning_transformer.compare.across.render.page import markdown, page
from lightning_transformer.compare.across.render.plots import all_plots
from lightning_transformer.compare.across.render.terminal import terminal
from lightning_transformer.compare.across.report import LadderReport, TasksReport
from lightning_transformer.compare.across.tasks import tasks
from lightning_transformer.compare.report.render.plots.files import javascript, write_pictures
from lightning_transformer.compare.report.write import Wanted, build_report
from lightning_transformer.compare.report.write import write as write_parts
from lightning_transformer.runs.atomic import write_atomically


def write(
    paths: Sequence[Path], wanted: Wanted | None = None, console: Console | None = None
) -> list[Path]:
    """As `report.write.write`; for a folder of several comparisons also the report over them.

    Its page is the first. Raises ValueError, in one line, where there is no report to write.
    """
    wanted, console = wanted or Wanted(), console or Console(highlight=False)
    paths = [Path(path) for path in paths]
    folders = {path: found for path in paths if (found := read_several(path))}
    if len(folders) > 1 and wanted.out:
        raise ValueError("--out is one folder; name one folder of several comparisons")
    pages = write_parts(paths, wanted, console)
    above = [write_above(folder, several, wanted, console) for folder, several in folders.items()]
    return [*above, *pages]


def write_above(folder: Path, several: Several, wanted: Wanted, console: Console) -> Path:
    """Write the report over several comparisons alone, print its table; return its page."""
    report = build_across(folder, several, wanted)
    home = wanted.out or folder
    files(report, home, page_only=wanted.page_only)
    console.print(terminal(report))
    console.print(f"report    {home / 'report.html'}", markup=False, soft_wrap=True)
    return home / "report.html"


def build_across(
    folder: Path, several: Several, wanted: Wanted | None = None
) -> LadderReport | TasksReport:
    """The report over several comparisons; writes and prints nothing.

    Raises ValueError, in one line, where none of them has a report.
    """
    asked = replace(wanted or Wanted(), out=None)
    if asked.mixing == "split":
        raise ValueError("--split gives several reports of a part; leave it out")
    parts, reasons = [], []
    for part in several.parts:
        try:
            parts.append(PartReport(part.name, build_report([folder / part.name], asked)))
        except ValueError as error:
            reasons.append(f"{part.name}: {error}")
    if not parts:
        raise ValueError(reasons[0])
    found = (ladder if several.kind == LADDER else tasks)(several, parts)
    return replace(found, warnings=[*found.warnings, *(f"no report of {one}" for one in reasons)])


def files(report: LadderReport | TasksReport, folder: Path, *, page_only: bool = False) -> None:
    """Write all files of a report; the same runs give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "report.json", report.to_json())
    plots = all_plots(report)
    if not page_only:
        write_pictures(plots, folder / "report")
        write_atomically(folder / "report.md", markdown(report, list(plots)))
    write_atomically(folder / "report.html", page(report, plots, javascript()))
