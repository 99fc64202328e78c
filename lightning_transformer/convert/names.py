"""Rename weights by rules, each of which matches some of them."""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

Rules = Sequence[tuple[str, str]]  # pattern of a full name, new name with \1 for what it found


def renamed(theirs: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """The weights under the names that the first fitting rule gives them; "" leaves one out.

    Raises ValueError for a weight that no rule matches, so that none is skipped silently.
    """
    ours = {_renamed(name, rules): weight for name, weight in theirs.items()}
    ours.pop("", None)
    return ours


def _renamed(name: str, rules: Rules) -> str:
    for pattern, new in rules:
        found = re.fullmatch(pattern, name)
        if found is not None:
            return found.expand(new)
    raise ValueError(f"weight {name} has no counterpart here; is it of another model?")
