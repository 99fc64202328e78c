"""The rules of repetition of Gopher by hand."""

from __future__ import annotations

import pytest

from lightning_transformer.data.cleaning.gopher_repetition import (
    GopherRepetition,
    duplicate_ngram_chars,
    repeated,
    top_ngram_chars,
)

# No rule but those that a test sets.
OFF = {
    "duplicate_lines": 1.0,
    "duplicate_line_chars": 1.0,
    "duplicate_paragraphs": 1.0,
    "duplicate_paragraph_chars": 1.0,
    "top_ngram_chars": [],
    "duplicate_ngram_chars": [],
}


def rule(text: str, **options: object) -> str | None:
    return GopherRepetition(**{**OFF, **options}).broken_rule(text)  # type: ignore[arg-type]


def test_repeated_parts_are_those_behind_the_first() -> None:
    assert repeated(["ab", "c", "ab", "ab", "c"]) == (3, 5)


def test_the_most_frequent_ngram_counts_each_time() -> None:
    words = ["to", "be", "or", "not", "to", "be"]
    assert top_ngram_chars(words, 2) == 2 * len("to be")
    assert top_ngram_chars(words, 3) == 0  # each occurs once
    assert top_ngram_chars(["one"], 2) == 0


def test_characters_of_repeated_ngrams_are_counted_once() -> None:
    # "a a" at 1 is a repetition of that at 0, and goes on behind it, at 3.
    assert duplicate_ngram_chars(["a"] * 5, 2) == 2 * len("a a")
    words = ["one", "two", "three", "four", "one", "two", "three", "five", "two", "three", "four"]
    # At 4 "one two three" is known; the walk goes on at 7, and at 8 "two three four" is known.
    assert duplicate_ngram_chars(words, 3) == len("one two three") + len("two three four")
    assert duplicate_ngram_chars(words, 4) == 0


@pytest.mark.parametrize(
    ("text", "option", "share", "broken"),
    [
        # 1 of 4 lines; 3 of 17 characters, line ends included
        ("abc\nabc\ndefg\nhijk", "duplicate_lines", 0.25, "repeated lines"),
        ("abc\nabc\ndefg\nhijk", "duplicate_line_chars", 3 / 17, "characters of repeated lines"),
        # 1 of 3 paragraphs; 3 of 15 characters; the line twice in one paragraph is none
        ("a\nb\n\nc c\n\n\na\nb", "duplicate_paragraphs", 1 / 3, "repeated paragraphs"),
        ("a\nb\n\nc cc\n\na\nb", "duplicate_paragraph_chars", 3 / 14,
         "characters of repeated paragraphs"),
        ("to be or not to be", "top_ngram_chars", 10 / 18, "most frequent 2-gram"),
        ("a b c d e x a b c d e", "duplicate_ngram_chars", 9 / 21, "repeated 5-grams"),
    ],
)  # fmt: skip
def test_shares_at_the_threshold_stay_and_above_go(
    text: str, option: str, share: float, broken: str
) -> None:
    is_list = isinstance(OFF[option], list)
    for limit, expected in ((share + 1e-9, None), (share - 1e-6, broken)):
        assert rule(text, **{option: [limit] if is_list else limit}) == expected


def test_lists_are_of_growing_ngrams() -> None:
    text = "a b c d e f x a b c d e f"
    assert rule(text, duplicate_ngram_chars=[1.0, 0.1]) == "repeated 6-grams"
    assert rule(text, duplicate_ngram_chars=[1.0, 1.0, 0.0]) is None  # no 7-gram twice
    assert rule("a b c a b c", top_ngram_chars=[1.0, 0.5]) == "most frequent 3-gram"


def test_plain_prose_passes_the_defaults() -> None:
    text = (
        "The river rose for three days. On the fourth it stood at the door of the mill.\n"
        "Nobody slept, and the miller counted sacks until the water fell again.\n\n"
        "In spring they built a wall, higher than any man remembered the flood."
    )
    assert GopherRepetition().broken_rule(text) is None


def test_shares_outside_their_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"top_ngram_chars=1\.2 must be at least 0 and at most 1"):
        GopherRepetition(top_ngram_chars=[0.2, 1.2])
