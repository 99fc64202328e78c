"""A function of the user decides about languages."""

from __future__ import annotations

import pytest

from lightning_transformer.data.cleaning.base import Dropped
from lightning_transformer.data.cleaning.language import Language


def detect(text: str) -> tuple[str, float]:
    """Whether there is a "the", and the share of ASCII."""
    score = sum(map(str.isascii, text)) / len(text)
    return ("en" if "the" in text else "xx"), score


def test_code_and_score_decide() -> None:
    stage = Language(detect, ["en"], 0.75)
    assert stage.clean("train", ("the ä",)) == ("the ä",)  # 4 of 5
    assert stage.clean("train", ("the äö",)) == Dropped("score below 0.75")  # 4 of 6
    assert stage.clean("train", ("das",)) == Dropped("language xx")


def test_several_codes_and_each_text_of_a_pair() -> None:
    stage = Language(detect, ["en", "xx"], 0.0)
    assert stage.clean("train", ("the", "das")) == ("the", "das")
    assert Language(detect).clean("train", ("the", "das")) == Dropped("language xx")


@pytest.mark.parametrize("returned", ["en", ("en",), (1, 0.5), None])
def test_a_function_that_returns_something_else_is_refused(returned: object) -> None:
    with pytest.raises(ValueError, match=r"language\.detect returns .* a code and a score"):
        Language(lambda text: returned).clean("train", ("x",))  # type: ignore[arg-type, return-value]


def test_codes_are_a_list_of_at_least_one() -> None:
    for codes in ("en", [1]):
        with pytest.raises(ValueError, match=r"language\.codes=.* must be a list, .*=\[en,de\]"):
            Language(detect, codes)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="leaves no language"):
        Language(detect, [])
