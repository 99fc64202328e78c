"""What is refused is refused in one line; any two options of two groups meet, or are refused."""

from __future__ import annotations

import itertools

import pytest

from tests.contracts.conformance.design import designed, every_option, parsed, refused
from tests.contracts.conformance.models import KINDS, made

REFUSALS = refused()


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
        frozenset(two) for row in designed(kind) for two in itertools.combinations(row.items(), 2)
    }
    said = [parsed(key).items() for key in REFUSALS[kind]]
    choices = every_option()
    for g, h in itertools.combinations(choices, 2):
        for a, b in itertools.product(choices[g], choices[h]):
            two = {(g, a), (h, b)}
            assert frozenset(two) in met or any(set(items) <= two for items in said), two
