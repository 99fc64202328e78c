"""The report in the terminal, and its runs as CSV."""

import csv
import io

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from lightning_transformer.compare.report.contents import Contents
from lightning_transformer.compare.report.render import numbers

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
    """The table of effects, with the sentences of the answer below and warnings above."""
    lines: list[str] = []
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("variant", overflow="fold")
    metric = report.metric
    if len(metric) > LONGEST:  # there has to be room for the verdict
        lines.append(f"metric    {escape(metric)}")
        metric = "mean"
    for name in (metric, "SD", "Δ", "95 % interval", "Holm p"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for row in report.variants:
        colour = COLOURS.get(row.verdict)
        verdict = escape(numbers.verdict(row))
        table.add_row(
            escape(row.short),
            numbers.number(row.mean),
            numbers.number(row.sd),
            numbers.signed(row.effect.delta if row.effect else None),
            numbers.interval(row.effect),
            numbers.p_value(row.effect.p_holm if row.effect else None),
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
    lines += missing[:MOST]
    if missing[MOST:]:
        lines.append(f"          and {len(missing) - MOST} more, in report.json")
    base = report.baseline
    lines.append(f"baseline  {escape(base.variant)} ({escape(base.chosen)})")
    return Group(*lines, "", table, "", *map(escape, numbers.sentences(report)))


def as_csv(report: Contents) -> str:
    """One line per run."""
    stream = io.StringIO()
    names = list(report.runs[0]) if report.runs else []
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(report.runs)
    return stream.getvalue()
