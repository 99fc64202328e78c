"""What is refused is refused in one line; any two options of two groups meet, or are refused."""

from __future__ import annotations

import itertools
import json

import pytest

from lightning_transformer.cards.refusals import FILE
from tests.contracts.conformance.design import designed, every_option
from tests.contracts.conformance.learn import lines_of_cards
from tests.contracts.conformance.models import KINDS, made
from tests.helpers.refusals import parsed, refused

REFUSALS = refused()


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for kind, found in REFUSALS.items() for key in found]
)
def test_what_cannot_work_is_refused_in_one_line(kind: str, key: str) -> None:
    said = ""
    try:
        made(kind, parsed(key))
    except ValueError as refusal:
        said = str(refusal)
    assert said == REFUSALS[kind][key], "refused otherwise than before, or no more: run `make docs`"
    assert "\n" not in said


def test_the_cards_have_the_same_table() -> None:
    content = json.loads(FILE.read_text(encoding="utf-8"))
    assert content == lines_of_cards(REFUSALS), "run `make docs`"


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
