"""Windows of long sentences: every word once, with as much context as there is room for."""

from __future__ import annotations

import numpy as np
import pytest

from lightning_transformer.data.encode import NO_TAG
from lightning_transformer.data.examples import Tagged
from lightning_transformer.data.split import Record
from lightning_transformer.data.windows import window_bounds, windowed, windowed_split


@pytest.mark.parametrize("seq_len", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 20, 21])
def test_each_token_has_one_window_that_holds_it(n: int, seq_len: int) -> None:
    answered: list[int] = []
    for start, end, first, last in window_bounds(n, seq_len):
        assert end - start == min(n, seq_len)
        assert 0 <= start <= first <= last <= end <= n
        answered += range(first, last)
    assert answered == [*range(n)]


def test_a_token_is_at_least_a_quarter_of_a_window_from_a_cut() -> None:
    for start, end, first, last in window_bounds(100, 16):
        assert first - start >= 4 or start == 0
        assert end - last >= 4 or end == 100


def test_a_short_sentence_stays_whole() -> None:
    sentence = Tagged(np.arange(8), np.arange(8))
    assert list(windowed(sentence, 3, 8)) == [sentence]
    assert (sentence.sentence, sentence.start) == (-1, 0)


def test_windows_have_all_tags_once_and_say_where_they_come_from() -> None:
    tags = np.where(np.arange(30) % 3 == 0, np.arange(30), NO_TAG).astype(np.int16)
    parts = list(windowed(Tagged(np.arange(30), tags), 5, 8))
    found = np.full(30, NO_TAG)
    for part in parts:
        assert part.sentence == 5
        assert part.ids.tolist() == [*range(part.start, part.start + 8)]
        places = np.flatnonzero(part.tags != NO_TAG)
        assert (found[part.start + places] == NO_TAG).all()
        found[part.start + places] = part.tags[places]
    assert found.tolist() == tags.tolist()


def test_a_split_knows_which_document_a_window_is_cut_from() -> None:
    def sentence(n: int) -> Tagged:
        return Tagged(np.arange(n), np.zeros(n, dtype=np.int16))

    records = [Record(("a",), [], "x"), Record(("b",), [], "x"), Record(("c",), [], "y")]
    split = windowed_split("test", [sentence(3), sentence(12), sentence(2)], records, 4)
    assert split.documents is not None
    numbers = split.documents[:, 0].tolist()
    assert numbers == sorted(numbers)
    assert (numbers[0], numbers[-1], len(split)) == (0, 1, len(numbers))
    assert split.n_tokens == 17
    assert sum(int((e.tags != NO_TAG).sum()) for e in split.examples) == 17
