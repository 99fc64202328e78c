"""From run folders to a report: read, compare, write all its files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from lightning_transformer.compare.report.analysis import MARGIN_PERCENT, analyse
from lightning_transformer.compare.report.design import design
from lightning_transformer.compare.report.fairness.groups import Group, grouped
from lightning_transformer.compare.report.fairness.identity import differing, split_by_identity
from lightning_transformer.compare.report.load import Omitted, Run, load
from lightning_transformer.compare.report.paper.latex import latex
from lightning_transformer.compare.report.paper.long_csv import long_csv
from lightning_transformer.compare.report.render.html import page
from lightning_transformer.compare.report.render.markdown import markdown
from lightning_transformer.compare.report.render.plots.files import (
    all_plots,
    javascript,
    write_pictures,
)
from lightning_transformer.compare.report.render.terminal import as_csv, terminal
from lightning_transformer.compare.report.report import Report
from lightning_transformer.runs.atomic import write_atomically


@dataclass(frozen=True)
class Wanted:
    """Which report to write.

    Attributes:
        better: ``lower`` or ``higher``, for a metric whose name does not show it.
        margin_percent: of the baseline's mean; differences up to here do not matter.
        mixing: ``refuse``, ``split`` or ``force``, for runs that differ in what must be equal.
        page_only: leave out plots as files, Markdown and CSV.
        latex, long_csv: write report.tex; report_long.csv.
    """

    by: tuple[str, ...] = ()
    metric: str | None = None
    baseline: str | None = None
    better: str | None = None
    margin_percent: float = MARGIN_PERCENT
    mixing: str = "refuse"
    page_only: bool = False
    latex: bool = False
    long_csv: bool = False
    out: Path | None = None


def write(
    paths: Sequence[Path], wanted: Wanted | None = None, console: Console | None = None
) -> list[Path]:
    """Write the report of all runs at or below the paths, print its table; return the pages.

    Below a folder of several comparisons, sweeps or runs, each gets a report of its own beside it,
    and what has nothing to be compared with is named. Raises ValueError, in one line, where there
    is no report to write.
    """
    wanted, console = wanted or Wanted(), console or Console(highlight=False)
    paths = [Path(path) for path in paths]
    groups = grouped(paths, load(paths))
    pages: list[Path] = []
    left_out: list[Omitted] = []
    for group in groups:
        home = wanted.out or group.folder
        if wanted.out and len(groups) > 1:
            home = wanted.out / group.folder.resolve().name
        try:
            reports = _reports(group, wanted, alone=len(groups) == 1)
        except ValueError as error:
            if len(groups) == 1:
                raise
            left_out.append(Omitted(str(group.folder), str(error)))
            continue
        for i, report in enumerate(reports, start=1):
            folder = home if len(reports) == 1 else home / f"split-{i}"
            files(report, folder, page_only=wanted.page_only)
            further = _further(report, folder, wanted)
            console.print(terminal(report), crop=False)
            pages.append(folder / "report.html")
            for path in (pages[-1], *further):
                console.print(f"report    {path}", markup=False, soft_wrap=True)
    if not pages:
        raise ValueError(f"{left_out[0].place}: {left_out[0].reason}")
    for one in left_out:
        console.print(f"left out  {one.place}: {one.reason}", markup=False, soft_wrap=True)
    return pages


def build_report(paths: Sequence[Path | str], wanted: Wanted | None = None) -> Report:
    """The report of all runs at or below the paths; writes and prints nothing.

    Raises ValueError, in one line, for runs that cannot be compared, for ``mixing="split"``, which
    asks for several reports, and for a folder of several comparisons.
    """
    wanted = wanted or Wanted()
    if wanted.mixing == "split":
        raise ValueError("mixing=split asks for several reports; use refuse or force")
    folders = [Path(path) for path in paths]
    groups = grouped(folders, load(folders))
    if len(groups) > 1:
        names = ", ".join(str(group.folder) for group in groups[:3])
        raise ValueError(f"{len(groups)} comparisons, {names} ..; name one folder")
    return _report(groups[0], groups[0].runs, wanted)


def _reports(group: Group, wanted: Wanted, *, alone: bool) -> list[Report]:
    """The reports of a group; what came to lie in one folder is split into what is alike."""
    if wanted.mixing == "split":
        return [_report(group, runs, wanted) for runs in split_by_identity(group.runs)]
    try:
        report = _report(group, group.runs, wanted)
    except ValueError:
        if group.planned or wanted.mixing == "force":
            raise
        reports = _alike(group, wanted)
        if not reports:
            raise
        return reports
    if not alone and len(report.variants) < 2:
        raise ValueError("a single variant, with nothing to compare it with")
    return [report]


def _alike(group: Group, wanted: Wanted) -> list[Report]:
    """A report of each part whose runs may be compared; each names the runs of no report."""
    found: list[tuple[list[Run], Report]] = []
    reasons: dict[str, Omitted] = {}
    for runs in split_by_identity(group.runs):
        try:
            report = _report(group, runs, wanted)
        except ValueError as error:
            reasons |= {str(run.folder): Omitted(str(run.folder), str(error)) for run in runs}
            continue
        if len(report.variants) > 1:
            found.append((runs, report))
            continue
        why = "nothing else is of its data, code, test set and precision"
        reasons |= {
            str(run.folder): Omitted(str(run.folder), run.result.error or why) for run in runs
        }
    rest = list(reasons.values())
    return [replace(report, left_out=[*report.left_out, *rest]) for _, report in found]


def _report(group: Group, runs: Sequence[Run], wanted: Wanted) -> Report:
    """The report of runs that have been read."""
    found = design(
        runs,
        group.comparisons,
        by=wanted.by,
        baseline=wanted.baseline,
        metric=wanted.metric,
        better=wanted.better,
    )
    different = differing(found.cells, found.by, found.comparison.match.axis)
    if wanted.mixing != "force":
        different.refuse()
    warnings = different.sentences()
    if len(group.comparisons) > 1:
        warnings.append("Several comparisons: their learning rates and stops are not shown.")
    return analyse(
        found,
        title=group.folder.resolve().name,
        margin_percent=wanted.margin_percent,
        warnings=warnings,
        left_out=group.left_out,
    )


def _further(report: Report, folder: Path, wanted: Wanted) -> list[Path]:
    """Write the files that were asked for by name, and return their paths."""
    asked = {}
    if wanted.latex:
        asked[folder / "report.tex"] = latex(report)
    if wanted.long_csv:
        asked[folder / "report_long.csv"] = long_csv(report)
    for path, text in asked.items():
        write_atomically(path, text)
    return list(asked)


def files(report: Report, folder: Path, *, page_only: bool = False) -> None:
    """Write all files of a report; the same runs give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "report.json", report.to_json())
    plots = all_plots(report)
    if not page_only:
        write_pictures(plots, folder / "report")
        write_atomically(folder / "report.md", markdown(report, list(plots)))
        write_atomically(folder / "report.csv", as_csv(report))
    write_atomically(folder / "report.html", page(report, plots, javascript()))
