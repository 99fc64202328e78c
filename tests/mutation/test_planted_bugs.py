"""The list of planted bugs is whole and fits the code; a few of them are tried here."""

from __future__ import annotations

import re

import pytest

from tests.mutation.bugs import BUGS, Bug
from tests.mutation.catalogue_bugs import PART_BUGS, PartBug
from tests.mutation.planted_bugs import ROOT, try_all

NUMBERS = range(1, 45)


def test_every_invariant_has_a_test_and_a_bug() -> None:
    files = (ROOT / "tests/contracts/invariants").glob("test_*.py")
    texts = [path.read_text(encoding="utf-8") for path in files]
    tested = {int(n) for text in texts for n in re.findall(r"def test_invariant_(\d\d)_", text)}
    assert tested == set(NUMBERS)
    assert [bug.invariant for bug in BUGS] == list(NUMBERS)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug.invariant:02}")
def test_the_place_of_the_bug_is_there(bug: Bug) -> None:
    assert bug.new != bug.old
    assert (ROOT / bug.path).read_text(encoding="utf-8").count(bug.old) == 1


@pytest.mark.parametrize("bug", PART_BUGS, ids=lambda bug: bug.file)
def test_the_place_in_the_catalogue_is_there(bug: PartBug) -> None:
    assert bug.new != bug.old
    assert (ROOT / bug.path).read_text(encoding="utf-8").count(bug.old) == 1
    assert (ROOT / bug.noticed_by).exists()


@pytest.mark.slow
def test_some_bugs_of_the_catalogue_are_caught() -> None:
    sample = PART_BUGS[::40]
    assert try_all(sample) == [True] * len(sample)


@pytest.mark.slow
def test_some_bugs_are_caught() -> None:
    sample = [bug for bug in BUGS if bug.invariant in (17, 34)]
    assert try_all(sample) == [True] * 2
