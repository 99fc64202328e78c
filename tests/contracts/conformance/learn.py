"""Write down which options and pairs of options are refused, and what is said.

    python -m tests.contracts.conformance.learn

Read the difference before committing it: a pair that comes in is a promise taken back.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable

import torch

from tests.contracts.conformance.design import GROUPS, REFUSED, every_option, parsed, rows
from tests.contracts.conformance.models import KINDS
from tests.helpers.assembly import assemble


def why(kind: str, choices: dict[str, str]) -> str | None:
    """What is said where these options are refused."""
    try:
        with torch.device("meta"):  # what is refused is so before weights are drawn
            assemble(KINDS[kind], **choices)
    except ValueError as error:
        return str(error)
    return None


def learn(kind: str) -> dict[str, str]:
    """Single options, then pairs, of one kind of model."""
    found: dict[str, str] = {}
    for group, names in every_option().items():
        for name in names:
            if (said := why(kind, {group: name})) is not None:
                found[f"{group}={name}"] = said
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
        print(f"{kind}: {len(found)}", flush=True)


def _without(row: dict[str, str], group: str) -> dict[str, str]:
    return {g: option for g, option in row.items() if g != group}


def _key(pair: Iterable[tuple[str, str]]) -> str:
    return " ".join(f"{group}={option}" for group, option in pair)


if __name__ == "__main__":
    content = {kind: dict(sorted(learn(kind).items())) for kind in KINDS}
    REFUSED.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for kind, found in content.items():
        print(f"{kind}: {len(found)} refusals")
