"""A report over several comparisons in the terminal."""

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from lightning_transformer.compare.across.contents import LadderContents, TasksContents
from lightning_transformer.compare.across.render.table import sentences, table

MOST = 5  # warnings; the page has all


def terminal(report: LadderContents | TasksContents) -> Group:
    """A row per variant and a column per comparison; the answers below, warnings above."""
    heads, rows = table(report)
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for place, head in enumerate(heads):
        if 0 < place < len(heads) - 2:
            shown.add_column(escape(head), justify="right")
        else:
            shown.add_column(head, overflow="fold")
    for row in rows:
        shown.add_row(*map(escape, row))
    lines = [f"[red]warning[/]   {escape(text)}" for text in report.warnings[:MOST]]
    if report.warnings[MOST:]:
        lines.append(f"          and {len(report.warnings) - MOST} more, on the page")
    return Group(*lines, "", shown, "", *map(escape, sentences(report)))
