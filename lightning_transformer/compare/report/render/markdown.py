"""The report as Markdown, for an issue or a pull request."""

from collections.abc import Iterable, Sequence
from typing import Any

from lightning_transformer.compare.report.render import format
from lightning_transformer.compare.report.render.terminal import interval


def markdown(content: dict[str, Any], pictures: Sequence[str] = ()) -> str:
    """The whole report; pictures: names of the plots that lie in report/."""
    base, blocks = content["baseline"], content["blocks"]
    lines = [
        f"# {content['title']}",
        "",
        f"{content['metric']}, {content['better']} is better; baseline {base['variant']} "
        f"({base['chosen']}); seeds compared: {', '.join(map(str, blocks['used'])) or 'none'}.",
        "",
    ]
    lines += [f"**{text}**\n" for text in content["warnings"]]
    lines += [
        f"Seed {one['seed']} is left out for all: {'; '.join(one['because'])}.\n"
        for one in blocks["dropped"]
    ]
    lines += [f"- {text}" for text in format.sentences(content)]
    head = (
        "variant",
        "params",
        "FLOPs/token",
        "tokens/s",
        "peak MiB",
        "LR",
        "mean ± SD",
        "Δ",
        "95 % interval",
        "Holm p",
        "verdict",
    )
    lines += ["", *_table(head, (_row(row) for row in content["variants"]))]
    lines += _stopped(content) + _factors(content) + _differs(content)
    equal = (
        (one["what"], "equal" if one["equal"] else "not equal", _percent(one["worst_percent"]))
        for one in content["matched"]
    )
    lines += ["", "## What was equal", "", *_table(("what", "", "largest deviation"), equal)]
    facts = ((one["name"], one["value"]) for one in content["facts"])
    lines += ["", "## How the runs were made", "", *_table(("", ""), facts)]
    lines += [f"\n![{name}](report/{name}.png)" for name in pictures]
    return "\n".join(lines) + "\n"


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    effect = row["effect"] or {}
    return (
        row["short"],
        f"{row['params']:,}" if row["params"] else format.NOTHING,
        format.short(row["flops_per_token"]),
        format.short(row["tokens_per_second"]),
        format.number(row["memory_mib"], 0),
        format.NOTHING if row["lr"] is None else f"{row['lr']:g}",
        f"{format.number(row['mean'])} ± {format.number(row['sd'])}",
        format.signed(effect.get("delta")),
        interval(effect),
        format.p_value(effect.get("p_holm")),
        format.verdict(row),
    )


def _percent(value: float | None) -> str:
    return format.NOTHING if value is None else f"{value:.2f} %"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"

    return [line(head), "|" + "---|" * len(head), *map(line, rows)]


def _stopped(content: dict[str, Any]) -> list[str]:
    found = [row for row in content["variants"] if row["stopped"]]
    return (
        [
            "",
            *(
                f"- {row['short']} was stopped at step {row['stopped']['step']}: "
                f"{row['stopped']['reason']}"
                for row in found
            ),
        ]
        if found
        else []
    )


def _factors(content: dict[str, Any]) -> list[str]:
    found = content["factors"]
    if not found:
        return []
    head = [" \\ ".join(found["keys"]), *found["columns"]]
    rows = [
        [name, *map(format.number, means)]
        for name, means in zip(found["rows"], found["means"], strict=True)
    ]
    pairs = (
        (
            f"{one['row']} with {one['column']}",
            format.signed(one["delta"]),
            interval(one),
            format.p_value(one.get("p_holm")),
        )
        for one in found["interactions"]
    )
    return [
        "",
        "## Two factors",
        "",
        *_table(head, rows),
        "",
        *_table(("pair", "interaction", "95 % interval", "Holm p"), pairs),
    ]


def _differs(content: dict[str, Any]) -> list[str]:
    rows = [
        (
            row["short"],
            f"`{one['key']}`",
            one["baseline"] or format.NOTHING,
            one["here"] or format.NOTHING,
        )
        for row in content["variants"]
        for one in row["differs"]
    ]
    head = ("variant", "key", "baseline", "here")
    return ["", "## What differs from the baseline", "", *_table(head, rows)] if rows else []
