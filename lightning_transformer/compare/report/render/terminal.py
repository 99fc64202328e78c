"""The report in the terminal, and as CSV."""

import csv
import io
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from lightning_transformer.compare.report.render import format

COLOURS = {"better": "blue", "worse": "yellow", "diverged": "yellow", "equal": "green"}


def terminal(content: dict[str, Any]) -> Group:
    """The table of effects, with the sentences of the answer below and warnings above."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("variant", overflow="fold")
    for name in (content["metric"], "SD", "Δ", "95 % interval", "Holm p"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for row in content["variants"]:
        effect = row["effect"] or {}
        colour = COLOURS.get(row["verdict"])
        word = escape(format.verdict(row))
        table.add_row(
            escape(row["short"]),
            format.number(row["mean"]),
            format.number(row["sd"]),
            format.signed(effect.get("delta")),
            interval(effect),
            format.p_value(effect.get("p_holm")),
            f"[{colour}]{word}[/]" if colour else word,
        )
    lines = [f"[red]warning[/]   {escape(text)}" for text in content["warnings"]]
    lines += [
        f"[yellow]left out[/]  seed {one['seed']} for all: {escape('; '.join(one['because'][:3]))}"
        for one in content["blocks"]["dropped"]
    ]
    base = content["baseline"]
    lines.append(f"baseline  {escape(base['variant'])} ({escape(base['chosen'])})")
    return Group(*lines, "", table, "", *map(escape, format.sentences(content)))


def interval(effect: dict[str, Any]) -> str:
    """−0.0123 … +0.0045"""
    if effect.get("low") is None:
        return format.NOTHING
    return f"{format.signed(effect['low'])} … {format.signed(effect['high'])}"


def as_csv(content: dict[str, Any]) -> str:
    """One line per run."""
    stream = io.StringIO()
    names = list(content["runs"][0]) if content["runs"] else []
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(content["runs"])
    return stream.getvalue()
