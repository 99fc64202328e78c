"""Cards as Markdown, which reads well in a terminal too."""

from collections.abc import Iterable, Mapping, Sequence

from lightning_transformer.cards.files import Option
from lightning_transformer.cards.refusals import refusals
from lightning_transformer.cards.sizes import Cost
from lightning_transformer.paths import PROGRAM


def card(option: Option, default: str | None, cost: Cost | None) -> str:
    """One option: what it computes, its keys, what it costs, and what it does not go with."""
    mark = " (default)" if option.name == default else ""
    parts = [f"## {option.group}={option.name}{mark}"]
    if option.title:
        parts.append(option.title)
    if option.doc:
        parts.append(f"```text\n{option.doc}\n```")
    if option.keys:
        parts.append(_table(("key", "default", "meaning"), _keys(option)))
    if cost is not None and default is not None and option.name != default:
        parts.append(_cost(option.group, default, cost))
    refused = refusals(option.group, option.name)
    if refused:
        parts.append("Not with:\n\n" + "\n".join(f"- {line}" for line in refused))
    return "\n\n".join(parts)


def page(group: str, cards: Iterable[str]) -> str:
    """All cards of a group, and the command that made them."""
    made = f"Made by `{PROGRAM}.cards {group}`; not to be edited."
    return "\n\n".join([f"# {group}", made, *cards]) + "\n"


def index(groups: Mapping[str, Sequence[Option]]) -> str:
    """What there is, a line each, and where its card is."""
    parts = ["# Cards", f"Made by `{PROGRAM}.cards --write docs/cards`; not to be edited."]
    for group, options in groups.items():
        lines = [f"- `{option.name}`: {option.title}" for option in options]
        parts += [f"## [{group}]({group}.md)", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _keys(option: Option) -> list[tuple[str, str, str]]:
    return [(f"{option.group}.{key.name}", key.default, key.text) for key in option.keys]


def _cost(group: str, default: str, cost: Cost) -> str:
    against = f"{group}={default}"
    if cost.surroundings:
        against += f", both with {' '.join(cost.surroundings)}"
    if cost.formula == "0":
        params = "as many parameters"
    elif cost.formula:
        params = f"{cost.formula} parameters ({cost.params:+,} in the default sizes)"
    else:
        params = f"{cost.params:+,} parameters in the default sizes"
    return f"Against {against}: {params}, {cost.flops:.3f} times the FLOPs per token."


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
