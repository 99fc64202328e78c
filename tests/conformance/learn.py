"""Write down which options and pairs of options are refused, and what is said.

    python -m tests.conformance.learn

Read the difference before committing it: a pair that comes in is a promise taken back.
"""

from __future__ import annotations

import itertools
import json

from tests.conformance.design import GROUPS, REFUSED, every_option, parsed, rows
from tests.conformance.models import KINDS, made

PLAIN = {"residual": "pre_norm"}  # what the rest of a model is while one pair is tried


def why(kind: str, choices: dict[str, str]) -> str | None:
    """What is said where these options are refused."""
    try:
        made(kind, choices)
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
    tried = True
    while tried:
        tried = False
        for row in rows(every_option(), [parsed(key) for key in found]):
            if why(kind, row) is None:
                continue
            new = {
                f"{g}={row[g]} {h}={row[h]}": said
                for g, h in itertools.combinations(GROUPS, 2)
                if (said := why(kind, {g: row[g], h: row[h]})) is not None
            }
            assert set(new) - set(found), f"{kind}: only more than two together fail: {row}"
            found |= new
            tried = True
            break
    return found


if __name__ == "__main__":
    content = {kind: dict(sorted(learn(kind).items())) for kind in KINDS}
    REFUSED.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for kind, found in content.items():
        print(f"{kind}: {len(found)} refusals")
