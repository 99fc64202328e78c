"""The rules of C4 by hand."""

from __future__ import annotations

import pytest

from lightning_transformer.data.cleaning.base import Dropped
from lightning_transformer.data.cleaning.c4 import C4

GOOD = "This line has at least five words."


def cleaned(text: str, min_sentences: int = 1) -> str | Dropped:
    found = C4(min_sentences=min_sentences).clean("train", (text,))
    return found if isinstance(found, Dropped) else found[0]


@pytest.mark.parametrize(
    "line",
    [
        "A headline without an end mark",
        "Too short a line.",  # 4 words
        "This line trails off into nothing...",
        "Please enable JavaScript to see this page.",
        "By this site you accept our Terms of Use.",
        f"One word here is far too {'x' * 1001}.",
    ],
)
def test_lines_that_go(line: str) -> None:
    assert cleaned(f"{GOOD}\n{line}\n  {GOOD}  ") == f"{GOOD}\n{GOOD}"


@pytest.mark.parametrize("end", [".", "!", "?", '"', "'"])
def test_lines_that_stay(end: str) -> None:
    line = f"These are just five words{end}"
    assert cleaned(line) == line


def test_citation_marks_go_before_the_end_is_judged() -> None:
    assert cleaned("It was so in the past.[12][citation needed]") == "It was so in the past."


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("And here is Lorem Ipsum as filling.", "lorem ipsum"),
        ("The code f() { return; } ends like this.", "curly bracket"),
    ],
)
def test_documents_that_go(line: str, rule: str) -> None:
    assert cleaned(f"{GOOD}\n{line}") == Dropped(rule)


def test_sentences_are_counted_in_the_lines_that_stay() -> None:
    three = 'He came and he saw. "Did he win?" She did not say it!'
    assert cleaned(three, min_sentences=3) == three
    assert cleaned(three, min_sentences=4) == Dropped("fewer than 4 sentences")
    # 3.5 ends no sentence, and a line without an end mark does not count.
    assert cleaned("It was 3.5 metres long then.\nOne. Two. Three", 2) == Dropped(
        "fewer than 2 sentences"
    )


def test_numbers_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"cleaning\.c4\.min_sentences=0 must be at least 1"):
        C4(min_sentences=0)
