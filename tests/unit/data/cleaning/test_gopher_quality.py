"""The rules of quality of Gopher by hand, each at its threshold and one beyond."""

from __future__ import annotations

import pytest

from lightning_transformer.data.cleaning.gopher_quality import GopherQuality

# 10 words of 3 characters, with the stop words "the" and "and".
TEN = "the cat and dog ran far all day too yes"


def rule(text: str, **options: float) -> str | None:
    return GopherQuality(**{"min_words": 1, **options}).broken_rule(text)  # type: ignore[arg-type]


def test_a_text_within_all_bounds_stays() -> None:
    assert rule(TEN) is None
    assert GopherQuality().broken_rule(" ".join([TEN] * 5)) is None  # 50 words, the defaults


@pytest.mark.parametrize(
    ("text", "options", "broken"),
    [
        (TEN, {"min_words": 10}, None),
        (TEN, {"min_words": 11}, "fewer than 11 words"),
        (TEN, {"max_words": 10}, None),
        (TEN, {"max_words": 9}, "more than 9 words"),
        (TEN, {"min_word_length": 3.0}, None),
        (TEN, {"min_word_length": 3.01}, "mean word length"),
        (TEN, {"max_word_length": 3.0}, None),
        (f"{TEN} more", {"max_word_length": 3.05}, "mean word length"),  # 34 / 11 = 3.09
        (TEN.replace("cat", "#at"), {}, None),  # 1 of 10 words
        (TEN.replace("cat", "##t"), {}, "symbols per word"),
        (TEN.replace("cat", "c…t").replace("dog", "..."), {}, "symbols per word"),
        (TEN.replace("cat", "123").replace("dog", "---"), {}, None),  # 8 of 10 with a letter
        ("the cat and dog 123 456 789 day too yes", {}, "alphabetic words"),
        (f"{TEN} - -", {"min_words": 11}, "fewer than 11 words"),
        (TEN.replace("and", "or,"), {}, "stop words"),
        (TEN.replace("and", "(The)"), {}, "stop words"),  # one word twice is one
        (TEN.replace("and", "With,"), {}, None),
    ],
)  # fmt: skip
def test_words(text: str, options: dict[str, float], broken: str | None) -> None:
    assert rule(text, **options) == broken


def test_shares_of_lines_are_of_those_that_are_not_blank() -> None:
    bullets = [f"{sign} {TEN}" for sign in "•-*‣▪•-*•"]
    assert rule("\n\n".join([*bullets, TEN])) is None  # 9 of 10
    assert rule("\n\n".join([*bullets, f"- {TEN}"])) == "bullet lines"
    ends = [f"{TEN} day..."] * 3
    assert rule("\n".join([*ends, *[TEN] * 7])) is None  # 3 of 10
    assert rule("\n".join([*ends, f"{TEN} so…", *[TEN] * 6])) == "ellipsis lines"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_words": 20}, r"max_words=20 must be a number of at least 50"),
        ({"min_word_length": 11}, r"max_word_length=10\.0 must be a number of at least 11"),
        ({"max_bullet_lines": 1.5}, r"max_bullet_lines=1\.5 must be at least 0 and at most 1"),
        ({"stop_words": ["a"]}, r"min_stop_words=2 must be at most .* 1$"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=f"cleaning.gopher_quality.{message}"):
        GopherQuality(**options)  # type: ignore[arg-type]
