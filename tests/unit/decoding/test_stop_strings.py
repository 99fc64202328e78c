from __future__ import annotations

import pytest

from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.decoding.stop_strings import (
    StopStrings,
    before_stop,
    pieces_before_stop,
)

WORDS = ByteVocabulary()


def test_a_text_ends_before_the_first_of_the_strings() -> None:
    assert before_stop("one. two; three", [";", ". "]) == "one"
    assert before_stop("one", [";"]) == "one"
    assert before_stop("one", []) == "one"


@pytest.mark.parametrize("strings", [["é"], ["xé", "--"], ["e-"]])
def test_it_is_seen_at_its_last_token(strings: list[str]) -> None:
    stops, ids = StopStrings(WORDS, strings), WORDS.encode("a long prefix of xé and so on").tolist()
    at = [stops.reached(ids[:n]) for n in range(1, len(ids) + 1)]
    text = "a long prefix of xé and so on"
    ends = [len(text[: text.find(s) + len(s)].encode()) for s in strings if s in text]
    assert at.index(True) + 1 == min(ends) if ends else not any(at)
    assert not StopStrings(WORDS, []).reached(ids)


@pytest.mark.parametrize("size", [1, 2, 3, 50])
@pytest.mark.parametrize("strings", [["abcd"], ["bd", "dd"], ["zz"], ["a"]])
def test_pieces_are_the_text_up_to_the_string(size: int, strings: list[str]) -> None:
    text = "xabxabcxabcdxddzabcd"
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert "".join(pieces_before_stop(pieces, strings)) == before_stop(text, strings)


def test_a_piece_comes_as_soon_as_it_is_certain() -> None:
    pieces = pieces_before_stop(iter(["ab", "ca", "bd"]), ["abd"])
    assert [next(pieces), next(pieces)] == ["", "abc"]
    assert list(pieces) == [""]
