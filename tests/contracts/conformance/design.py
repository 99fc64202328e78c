"""Few models in which any two options of any two groups meet: a pairwise covering design.

Options are those on disk. Pairs that cannot work are known by `refused.json` beside this file,
which `make docs` writes (see `learn`); a test holds that they are refused, and no others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from tests.conftest import options
from tests.helpers.refusals import parsed, refused

GROUPS = (
    "attention",
    "activation",
    "residual",
    "norm",
    "position",
    "pattern",
    "kernel",
    "qk_norm",
    "ffn",
    "block",
    "layer_sharing",
    "memory_tokens",
    "embedding",
    "init",
)

Choice = tuple[str, str]  # group, option


def every_option() -> dict[str, list[str]]:
    return {group: options(group) for group in GROUPS}


@cache
def designed(kind: str) -> list[dict[str, str]]:
    """The rows for one architecture: group to option."""
    return list(rows(every_option(), [parsed(key) for key in refused()[kind]]))


def shows_a_new_option(kind: str) -> list[bool]:
    """Of each row, whether an option stands in it that no row before it has."""
    seen: set[Choice] = set()
    found = []
    for row in designed(kind):
        found.append(not seen.issuperset(row.items()))
        seen.update(row.items())
    return found


def name_of(row: Mapping[str, str]) -> str:
    """All options of a row, for the name of a test."""
    return "-".join(row.values())


def rows(
    choices: Mapping[str, Sequence[str]], forbidden: Sequence[Mapping[str, str]]
) -> Iterator[dict[str, str]]:
    """Rows with an option of each group; any two that may meet do so in one of them at least.

    forbidden: single options and pairs that must not stand in a row.
    """
    singles = {c for f in forbidden if len(f) == 1 for c in f.items()}
    pairs = {frozenset(f.items()) for f in forbidden if len(f) == 2}
    allowed = {g: [o for o in found if (g, o) not in singles] for g, found in choices.items()}
    left: dict[frozenset[Choice], tuple[Choice, Choice]] = {}
    for g, h in itertools.combinations(allowed, 2):
        for a, b in itertools.product(allowed[g], allowed[h]):
            two = ((g, a), (h, b))
            if frozenset(two) not in pairs:
                left[frozenset(two)] = two
    while left:
        # Begin with a pair that has not met, then let each group take what helps most.
        row = completed(dict(next(iter(left.values()))), allowed, pairs, left)
        for two in itertools.combinations(row.items(), 2):
            left.pop(frozenset(two), None)
        yield {group: row[group] for group in choices}


def completed(
    row: dict[str, str],
    allowed: Mapping[str, Sequence[str]],
    pairs: set[frozenset[Choice]],
    left: Mapping[frozenset[Choice], object],
) -> dict[str, str]:
    """The row with an option of each group that it lacks, the one that makes most pairs meet."""
    for group in allowed:
        if group in row:
            continue
        free = [
            o
            for o in allowed[group]
            if not any(frozenset(((group, o), chosen)) in pairs for chosen in row.items())
        ]
        assert free, f"no {group} goes with {row}"
        row[group] = max(
            free, key=lambda o: sum(frozenset(((group, o), c)) in left for c in row.items())
        )
    return row
