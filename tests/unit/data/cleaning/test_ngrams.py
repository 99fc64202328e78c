"""Numbers of n-grams: equal exactly where the words are."""

from __future__ import annotations

import numpy as np

from lightning_transformer.data.cleaning.ngrams import FACTOR, _word_number, ngram_numbers


def test_by_the_formula() -> None:
    f = int(FACTOR)
    a, b, c = map(_word_number, "abc")
    expected = [(a * f + b) % 2**64, (b * f + c) % 2**64]
    assert ngram_numbers(["a b", "c"], 2).tolist() == expected  # across the texts of a document
    assert ngram_numbers(["a b c"], 1).tolist() == [a, b, c]


def test_case_and_what_stands_between_words_do_not_count() -> None:
    assert np.array_equal(
        ngram_numbers(["The sea, the Sky!"], 3), ngram_numbers(["the sea the\nsky"], 3)
    )


def test_order_counts() -> None:
    assert ngram_numbers(["a b"], 2).tolist() != ngram_numbers(["b a"], 2).tolist()


def test_a_short_text_is_one_ngram_and_one_without_words_has_none() -> None:
    assert len(ngram_numbers(["a b c"], 13)) == 1
    assert len(ngram_numbers(["..."], 13)) == 0
    assert ngram_numbers(["a b"], 13).tolist() == ngram_numbers(["a b"], 2).tolist()
