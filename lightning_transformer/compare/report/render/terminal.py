"""The report in the terminal, and its runs as CSV."""

import csv
import io
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from lightning_transformer.compare.report.contents import Contents
from lightning_transformer.compare.report.render import numbers
from lightning_transformer.compare.report.render.scope import scope

COLOURS = {
    "better": "blue",
    "worse": "yellow",
    "diverged": "yellow",
    "diverges more": "yellow",
    "diverges less": "blue",
    "equal": "green",
}
LONGEST = 10  # characters of a metric at the head of its column
MOST = 5  # lines about what is missing


def terminal(report: Contents) -> Group:
    """The first block with the answer, warnings, and the table of effects."""
    lines: list[RenderableType] = [*_head(report), ""]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("variant", overflow="fold")
    metric = report.metric
    if len(metric) > LONGEST:  # there has to be room for the verdict
        lines.append(f"metric    {escape(metric)}")
        metric = "mean"
    for name in (metric, "Δ", "95 % interval", "Holm p", "P(better)"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for row in report.variants:
        colour = COLOURS.get(row.verdict)
        verdict = escape(numbers.verdict(row))
        table.add_row(
            escape(row.short),
            numbers.number(row.mean),
            numbers.signed(row.effect.delta if row.effect else None),
            numbers.interval(row.effect),
            numbers.p_value(row.effect.p_holm if row.effect else None),
            numbers.probability(row.effect.probability_better if row.effect else None),
            f"[{colour}]{verdict}[/]" if colour else verdict,
        )
    lines += [f"[red]warning[/]   {escape(text)}" for text in report.warnings]
    missing = [
        f"[yellow]no pair[/]   seed {one.seed}: {escape('; '.join(one.because[:3]))}"
        + (f" and {len(one.because) - 3} more" if one.because[3:] else "")
        for one in report.blocks.dropped
    ]
    missing += [
        f"[yellow]left out[/]  {escape(f'{one.place}: {one.reason}')}" for one in report.left_out
    ]
    missing += [f"[yellow]marked[/]    {escape(text)}" for text in numbers.marked(report)]
    lines += missing[:MOST]
    if missing[MOST:]:
        lines.append(f"          and {len(missing) - MOST} more, in report.json")
    base = report.baseline
    lines.append(f"baseline  {escape(base.variant)} ({escape(base.chosen)})")
    return Group(*lines, "", table, *_further(report))


def _further(report: Contents) -> Iterator[RenderableType]:
    """What was measured after the runs, of the metrics with the name of the compared one."""
    last = report.metric.rpartition("/")[2]
    shown = [one for one in report.further if one.metric.rpartition("/")[2] == last]
    for metric in shown:
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column(escape(metric.metric), overflow="fold")
        for name in ("mean", "Δ", "95 % interval, by itself"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in metric.rows:
            values = numbers.number(row.mean), numbers.signed(row.delta), numbers.interval(row)
            table.add_row(escape(row.short), *values)
        yield from ("", table)
    if len(shown) < len(report.further):
        yield f"and {len(report.further) - len(shown)} more metrics, in the files of the report"


def _head(report: Contents) -> list[RenderableType]:
    """A line per entry of the first block, the answer behind the question."""
    rows = [(one.name, one.value) for one in report.head]
    at = 1 if rows and rows[0][0] == "question" else 0
    said = [*numbers.sentences(report), *scope(report)]
    rows[at:at] = [("answer" if i == 0 else "", text) for i, text in enumerate(said)]
    # A command is one line however wide the terminal, so that it can be copied.
    return [
        Text(f"{name:<10}{text}", no_wrap=True, overflow="ignore")
        if name == "command"
        else Text(f"{name:<10}{text}")
        for name, text in rows
    ]


def as_csv(report: Contents) -> str:
    """One line per run."""
    stream = io.StringIO()
    names = list(report.runs[0]) if report.runs else []
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(report.runs)
    return stream.getvalue()
