"""Counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lightning_transformer.data.examples import Labelled, Pair
from lightning_transformer.data.packing.rows import Rows, join
from lightning_transformer.data.split import ExampleList
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.data.tokenizers.characters import CharacterVocabulary
from lightning_transformer.look import counts
from lightning_transformer.look.counts import BatchCounts, count_text, histogram
from lightning_transformer.tasks.pooled import LabelRows
from lightning_transformer.tasks.seq2seq import TeacherForcing
from tests.conftest import tiny

BYTES = ByteVocabulary()


def rows(*texts: str) -> Rows:
    tokens, ends, _ = join([BYTES.encode(text) for text in texts], BYTES.eos_id)
    return Rows(tokens, seq_len=4, training=True, ends=ends)


def test_words_are_not_joined_over_documents_or_cut_by_rows() -> None:
    found = count_text(rows("the end", "The start"), BYTES)
    assert (found.all, found.n_words, found.n_bytes, found.n_tokens) == (True, 4, 16, 16)
    assert found.n_seen == 16 + 3  # with the ends of documents


def test_unknown_tokens_are_counted() -> None:
    words = CharacterVocabulary("ab ")
    ids = [words.encode("ab xa"), words.encode("b")]
    split = ExampleList([Labelled(one, 0) for one in ids], 6)
    found = count_text(split, words)
    assert (found.n_tokens, found.n_unknown, found.n_bytes, found.n_words) == (6, 1, 5, 3)


def test_both_sides_of_a_pair_are_text() -> None:
    split = ExampleList([Pair(BYTES.encode("a b"), BYTES.encode("cd"))], 5)
    assert (count_text(split, BYTES).n_words, count_text(split, BYTES).n_bytes) == (3, 5)


def test_of_a_large_split_a_part_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "MOST_TOKENS", 6)
    monkeypatch.setattr(counts, "MOST_EXAMPLES", 2)
    found = count_text(rows("abcd efgh", "x"), BYTES)
    assert (found.all, found.n_seen) == (False, 6)
    split = ExampleList([Labelled(BYTES.encode("a" * i), 0) for i in (1, 2, 3, 4)], 10)
    found = count_text(split, BYTES)
    assert (found.all, found.n_tokens) == (False, 2 + 4)


def test_padding_is_what_batches_have() -> None:
    pairs = [Pair(np.array([1]), np.array([2, 3])), Pair(np.array([1, 2, 3]), np.array([4]))]
    collate, found = TeacherForcing(BYTES.bos_id, BYTES.eos_id, BYTES.pad_id), BatchCounts()
    found.add(collate(pairs, [0, 0]), tiny("model=encoder_decoder").task)
    # Sources of 2 and 4 tokens, targets of 3 and 2, with BOS or EOS.
    assert (found.n_tokens, found.n_places, found.n_targets) == (11, 14, 5)
    assert found.padding == pytest.approx(3 / 14)
    assert found.labels == []  # they are tokens


def test_labels_of_rows_are_kept() -> None:
    found = BatchCounts()
    task = tiny("model=encoder_only", "task=classification").task
    examples = [Labelled(np.array([1]), 2), Labelled(np.array([1, 2]), 0)]
    found.add(LabelRows([], BYTES.pad_id)(examples, [0, 0]), task)
    assert np.concatenate(found.labels).tolist() == [2, 0]


@pytest.mark.parametrize("high", [1, 2, 7, 8, 9, 100, 12345])
def test_a_histogram_has_every_length_once(high: int) -> None:
    lengths = np.random.default_rng(high).integers(1, high + 1, 500)
    bins = histogram(lengths)
    assert len(bins) <= 8
    assert sum(n for _, _, n in bins) == 500
    assert (bins[0][0], bins[-1][1]) == (lengths.min(), lengths.max())
    for low, top, n in bins:
        assert n == ((lengths >= low) & (lengths <= top)).sum()
    assert [b[0] for b in bins[1:]] == [b[1] + 1 for b in bins[:-1]]


def test_a_histogram_of_nothing_is_empty() -> None:
    assert histogram(np.array([], dtype=np.int64)) == []
