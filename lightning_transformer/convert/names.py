"""Names of weights in another library and here, as one table that is read in both directions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# A rule: their name, our name. {i} is a number, {s} a stack, {q} one of q k v, {p} weight or bias;
# both sides have the same ones. A rule without our name says that the weight is not used here.
Rules = Sequence[tuple[str, str]]
PLACES = {"i": r"\d+", "s": "encoder|decoder", "q": "[qkv]", "p": "weight|bias"}
NOT_USED = ""


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w)\}", template)
    seen = [
        f"(?P<{part}>{PLACES[part]})" if number % 2 else re.escape(part)
        for number, part in enumerate(parts)
    ]
    return re.compile("".join(seen))


def renamed(
    weights: Mapping[str, Tensor], rules: Rules, *, back: bool = False
) -> dict[str, Tensor]:
    """The weights under the names that the first fitting rule gives them.

    back: from our names to theirs. What a rule says is not used here is left out; of two weights
    with one name the first stays, for they are one. Raises ValueError for a weight that no rule
    matches, so that none is skipped silently.
    """
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        new = _renamed(name, rules, back)
        if new != NOT_USED:
            found.setdefault(new, weight)
    return found


def not_used(names: Iterable[str], rules: Rules) -> list[str]:
    """Those of their names that a rule leaves out."""
    patterns = [_pattern(theirs) for theirs, ours in rules if ours == NOT_USED]
    return [name for name in names if any(p.fullmatch(name) for p in patterns)]


def _renamed(name: str, rules: Rules, back: bool) -> str:
    for theirs, ours in rules:
        old, new = (ours, theirs) if back else (theirs, ours)
        match = _pattern(old).fullmatch(name) if old != NOT_USED else None
        if match is not None:
            return new.format(**match.groupdict())
    where = "there" if back else "here"
    raise ValueError(f"weight {name} has no counterpart {where}; is it of another model?")
