"""Write down which options and pairs of options are refused, and what is said.

    python -m tests.contracts.conformance.learn

A part of `make docs`. Starts from what was refused the last time, which is tried again; delete
refused.json to learn all of it anew, in minutes. Also writes the lines of the cards.
Read the difference before committing it: a pair that comes in is a promise taken back.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping

import torch

from lightning_transformer.cards.refusals import FILE
from tests.contracts.conformance.design import GROUPS, every_option, rows
from tests.contracts.conformance.models import KINDS
from tests.helpers.assembly import assemble
from tests.helpers.refusals import REFUSED, parsed, refused


def why(kind: str, choices: dict[str, str]) -> str | None:
    """What is said where these options are refused."""
    try:
        with torch.device("meta"):  # what is refused is so before weights are drawn
            assemble(KINDS[kind], **choices)
    except ValueError as error:
        return str(error)
    return None


def learn(kind: str, known: Iterable[str] = ()) -> dict[str, str]:
    """Single options, then pairs, of one kind of model; known: refused the last time."""
    found: dict[str, str] = {}
    for group, names in every_option().items():
        for name in names:
            if (said := why(kind, {group: name})) is not None:
                found[f"{group}={name}"] = said
    found |= _still_refused(kind, known, set(found))
    while True:
        new: dict[str, str] = {}
        for row in rows(every_option(), [parsed(key) for key in found]):
            said_of_row = why(kind, row)
            if said_of_row is None:
                continue
            # Without a group that has to do with it, something else is said, or nothing.
            suspects = [g for g in GROUPS if why(kind, _without(row, g)) != said_of_row]
            pairs = [((g, row[g]), (h, row[h])) for g, h in itertools.combinations(suspects, 2)]
            guilty = {_key(two): said for two in pairs if (said := why(kind, dict(two)))}
            assert guilty, f"{kind}: only more than two together fail: {row}"
            new |= guilty
        if not new:
            return found
        found |= new


def _still_refused(kind: str, known: Iterable[str], alone: set[str]) -> dict[str, str]:
    """Those of the known pairs whose options exist and are refused only together."""
    options = every_option()
    found: dict[str, str] = {}
    for key in known:
        pair = parsed(key)
        exist = all(name in options.get(group, ()) for group, name in pair.items())
        if len(pair) != 2 or not exist or alone & set(key.split()):
            continue
        if (said := why(kind, pair)) is not None:
            found[key] = said
    return found


def lines_of_cards(content: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    """What a card says of each option: a line for each message, with the models or others."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for model, refusals in content.items():
        for key, said in refusals.items():
            choices = key.split()
            for choice in choices:
                others = [other for other in choices if other != choice]
                found[choice][said].add(others[0] if others else f"model={model}")
    return {
        choice: sorted(f"{_joined(others)}: {text}" for text, others in said.items())
        for choice, said in sorted(found.items())
    }


def _joined(others: Iterable[str]) -> str:
    """`model=a,b` for models, which are named once; `norm=a, norm=b` for other options."""
    models = sorted(other.removeprefix("model=") for other in others if other.startswith("model="))
    rest = sorted(other for other in others if not other.startswith("model="))
    return ", ".join(([f"model={','.join(models)}"] if models else []) + rest)


def _without(row: dict[str, str], group: str) -> dict[str, str]:
    return {g: option for g, option in row.items() if g != group}


def _key(pair: Iterable[tuple[str, str]]) -> str:
    return " ".join(f"{group}={option}" for group, option in pair)


if __name__ == "__main__":
    before = refused()
    content = {kind: dict(sorted(learn(kind, before.get(kind, ())).items())) for kind in KINDS}
    REFUSED.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    lines = lines_of_cards(content)
    FILE.write_text(json.dumps(lines, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for kind, found in content.items():
        print(f"{kind}: {len(found)} refusals")
