"""The order of stages, what identifies them, and what is refused."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from lightning_transformer.data.cleaning.base import Dropped, Stage, Texts, identity, in_order
from lightning_transformer.data.cleaning.exact_duplicates import ExactDuplicates
from lightning_transformer.data.cleaning.language import Language
from lightning_transformer.data.cleaning.length import Length
from lightning_transformer.data.cleaning.unicode import Unicode
from tests.helpers.examples import detect


@dataclass
class Mine(Stage):
    """A stage of a user."""

    order: ClassVar[int] = 35

    def clean(self, split: str, texts: Texts) -> Texts | Dropped:
        return texts


def names(chosen: dict[str, Any]) -> list[str]:
    return [name for name, _ in in_order(chosen)]


def test_the_order_is_that_of_the_stages_whatever_was_typed() -> None:
    chosen = {"exact": ExactDuplicates(), "mine": Mine(), "b": Length(), "a": Length()}
    chosen["unicode"] = Unicode()
    right = ["unicode", "a", "b", "mine", "exact"]
    assert names(chosen) == right
    assert names(dict(reversed(chosen.items()))) == right
    assert names({}) == list(in_order(None)) == []


def test_what_is_no_stage_is_refused() -> None:
    with pytest.raises(ValueError, match="write cleaning=unicode"):
        in_order("unicode")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"cleaning\.mine is 3 and no dataclass of .*Stage"):
        in_order({"mine": 3})


def test_a_stage_that_changes_texts_is_refused_where_they_must_stay() -> None:
    in_order({"length": Length()}, "tags stand at characters")
    with pytest.raises(ValueError, match=r"cleaning\.unicode changes texts, but tags .* leave"):
        in_order({"unicode": Unicode()}, "tags stand at characters")


def test_identity_changes_with_name_options_and_functions() -> None:
    def of(**stages: Stage) -> str:
        return repr(identity(in_order(stages)))

    assert identity([]) == []
    found = {
        of(length=Length(5)),
        of(length=Length(6)),
        of(other=Length(5)),
        of(mine=Mine()),
        of(language=Language(detect)),
        of(language=Language(len)),  # type: ignore[arg-type]
        of(language=Language(functools.partial(detect, "x"))),  # type: ignore[arg-type]
    }
    assert len(found) == 7
    assert of(length=Length(5)) == of(length=Length(5))
    assert "object at" not in "".join(found)
