"""Every option of every group, and any two of two groups, on each architecture."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.conformance.design import every_option, parsed, refused, rows
from tests.conformance.models import KINDS, made
from tests.conformance.properties import check

SLOW = pytest.mark.slow
REFUSALS = refused()
WHEN: dict[str, Any] = {"decoder_only": (), "encoder_only": SLOW, "encoder_decoder": SLOW}


def designed() -> list[Any]:
    """One case per row; its name tells all of its options. Quick tests take decoders alone."""
    return [
        pytest.param(kind, row, id=f"{kind}-{'-'.join(row.values())}", marks=WHEN[kind])
        for kind in KINDS
        for row in rows(every_option(), [parsed(key) for key in REFUSALS[kind]])
    ]


CASES = designed()


@pytest.mark.parametrize(("kind", "choices"), CASES)
def test_keeps_what_a_transformer_promises(kind: str, choices: dict[str, str]) -> None:
    check(kind, choices)


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for kind, found in REFUSALS.items() for key in found]
)
def test_what_cannot_work_is_refused_in_one_line(kind: str, key: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        made(kind, parsed(key))
    assert str(refusal.value) == REFUSALS[kind][key]
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("kind", list(KINDS))
def test_any_two_options_meet_or_are_refused(kind: str) -> None:
    met = {
        frozenset(two)
        for param in CASES
        if param.values[0] == kind
        for two in itertools.combinations(param.values[1].items(), 2)
    }
    said = [parsed(key).items() for key in REFUSALS[kind]]
    choices = every_option()
    for g, h in itertools.combinations(choices, 2):
        for a, b in itertools.product(choices[g], choices[h]):
            two = {(g, a), (h, b)}
            assert frozenset(two) in met or any(set(items) <= two for items in said), two
