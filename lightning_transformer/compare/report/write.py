"""From run folders to a report: read, compare, write all its files."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from lightning_transformer.compare.report.analysis import MARGIN_PERCENT, analyse
from lightning_transformer.compare.report.comparison import Comparison
from lightning_transformer.compare.report.design import design, identity, mixed, refuse_mixed
from lightning_transformer.compare.report.load import Run, load
from lightning_transformer.compare.report.render.html import page
from lightning_transformer.compare.report.render.markdown import markdown
from lightning_transformer.compare.report.render.plots.files import all_plots, draw, javascript
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
    """

    by: tuple[str, ...] = ()
    metric: str | None = None
    baseline: str | None = None
    better: str | None = None
    margin_percent: float = MARGIN_PERCENT
    mixing: str = "refuse"
    page_only: bool = False
    out: Path | None = None


def write(
    paths: Sequence[Path], wanted: Wanted | None = None, console: Console | None = None
) -> list[Path]:
    """Write the report of all runs at or below the paths, print its table; return the pages.

    Raises ValueError, in one line, for runs that cannot be compared.
    """
    wanted, console = wanted or Wanted(), console or Console(highlight=False)
    paths = [Path(path) for path in paths]
    runs, comparisons = load(paths)
    out = wanted.out or _place(paths)
    groups = _groups(runs, wanted)
    pages = []
    for i, group in enumerate(groups, start=1):
        folder = out if len(groups) == 1 else out / f"split-{i}"
        report = report_of(group, comparisons, wanted, out.resolve().name)
        files(report, folder, page_only=wanted.page_only)
        console.print(terminal(report))
        pages.append(folder / "report.html")
        console.print(f"report    {pages[-1]}", markup=False, soft_wrap=True)
    return pages


def build_report(paths: Sequence[Path | str], wanted: Wanted | None = None) -> Report:
    """The report of all runs at or below the paths; writes and prints nothing.

    Raises ValueError, in one line, for runs that cannot be compared, and for ``mixing="split"``,
    which asks for several reports.
    """
    wanted = wanted or Wanted()
    if wanted.mixing == "split":
        raise ValueError("mixing=split asks for several reports; use refuse or force")
    folders = [Path(path) for path in paths]
    runs, comparisons = load(folders)
    return report_of(runs, comparisons, wanted, _place(folders).resolve().name)


def report_of(
    runs: Sequence[Run], comparisons: Sequence[Comparison], wanted: Wanted, title: str
) -> Report:
    """The report of runs that have been read."""
    found = design(
        runs,
        comparisons,
        by=wanted.by,
        baseline=wanted.baseline,
        metric=wanted.metric,
        better=wanted.better,
    )
    different = mixed(runs, found.by, found.comparison)
    if wanted.mixing == "refuse":
        refuse_mixed(different)
    warnings = [
        f"The runs differ in {name}: {', '.join(values)}." for name, values in different.items()
    ]
    if len(comparisons) > 1:
        warnings.append("Several comparisons: their learning rates and stops are not shown.")
    return analyse(found, title=title, margin_percent=wanted.margin_percent, warnings=warnings)


def _groups(runs: Sequence[Run], wanted: Wanted) -> list[list[Run]]:
    """All runs as one group, or, for split, a group for each `identity` without its tokens."""
    if wanted.mixing != "split":
        return [list(runs)]
    groups: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    for run in runs:
        same = identity(run)
        same.pop("tokens")
        groups[tuple(same.values())].append(run)
    return [groups[key] for key in sorted(groups)]


def _place(paths: Sequence[Path]) -> Path:
    """Where a report goes: beside the runs, or in a folder named after several."""
    first = paths[0] if paths[0].is_dir() else paths[0].parent
    if len(paths) == 1:
        return first
    return first.parent / "+".join(path.resolve().name for path in paths)


def files(report: Report, folder: Path, *, page_only: bool = False) -> None:
    """Write all files of a report; the same runs give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "report.json", report.to_json())
    plots = all_plots(report)
    if not page_only:
        pictures = folder / "report"
        pictures.mkdir(exist_ok=True)
        for name, plot in plots.items():
            for end, picture in draw(plot)._asdict().items():
                write_atomically(pictures / f"{name}.{end}", picture)
        write_atomically(folder / "report.md", markdown(report, list(plots)))
        write_atomically(folder / "report.csv", as_csv(report))
    write_atomically(folder / "report.html", page(report, plots, javascript()))
