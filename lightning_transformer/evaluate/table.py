"""Evaluations as a table, and for a grid the loss of each run at each setting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from lightning_transformer.evaluate.record import Evaluation


def tables(evaluations: Sequence[Evaluation]) -> Group:
    """All metrics, a row per run and setting; before it, the losses of a grid at one look."""
    parts: list[RenderableType] = []
    runs = dict.fromkeys(one.run for one in evaluations)
    settings = dict.fromkeys(setting_text(one) for one in evaluations)
    if len(runs) > 1 and len(settings) > 1:
        parts += [_grid(evaluations), ""]
    names = dict.fromkeys(name.split("/", 1)[1] for one in evaluations for name in one.metrics)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("run", overflow="fold")
    table.add_column("setting", overflow="fold")
    for name in (*names, "targets"):
        table.add_column(name, justify="right")
    short = short_names(list(runs))
    for one in evaluations:
        if one.error is not None:
            continue
        values = [_number(one.metrics.get(f"{one.split}/{name}")) for name in names]
        count = "-" if one.n_targets is None else f"{one.n_targets:,}"
        table.add_row(escape(short[one.run]), escape(setting_text(one)), *values, count)
    for title, setting, known in _references(evaluations):
        values = [_number(known.get(name)) for name in names]
        table.add_row(title, escape(setting), *values, "", style="dim")
    return Group(*parts, table)


def _references(evaluations: Sequence[Evaluation]) -> Iterator[tuple[str, str, dict[str, float]]]:
    """What to hold the metrics against: title, setting and values by name, each once."""
    said: list[tuple[str, str, dict[str, float]]] = []
    for one in evaluations:
        for title, known in (("floor, the best", one.floor), ("baseline", one.baseline)):
            values = {name.split("/", 1)[1]: value for name, value in known.items()}
            line = (title, setting_text(one), values)
            if values and line not in said:
                said.append(line)
                yield line


def _grid(evaluations: Sequence[Evaluation]) -> Table:
    settings = list(dict.fromkeys(setting_text(one) for one in evaluations))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("loss", overflow="fold")
    for setting in settings:
        table.add_column(escape(setting), justify="right", overflow="fold")
    rows: dict[str, dict[str, str]] = {}
    for one in evaluations:
        shown = "refused" if one.error else _number(one.metrics.get(f"{one.split}/loss"))
        rows.setdefault(one.run, {})[setting_text(one)] = shown
    short = short_names(list(rows))
    for run, cells in rows.items():
        table.add_row(escape(short[run]), *(cells.get(setting, "-") for setting in settings))
    return table


def setting_text(one: Evaluation) -> str:
    """The split and what was changed."""
    return " ".join([one.split, *one.overrides])


def short_names(runs: Sequence[str]) -> dict[str, str]:
    """Run folders without the part that all of them begin with."""
    first = [part.split("/") for part in runs]
    n = 0
    while len(runs) > 1 and len({tuple(parts[: n + 1]) for parts in first}) == 1:
        n += 1
    return {run: "/".join(parts[n:]) for run, parts in zip(runs, first, strict=True)}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"
