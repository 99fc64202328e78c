"""masking=whole_word."""

from __future__ import annotations

import numpy as np

from lightning_transformer.tasks.masking.whole_word import WholeWordMasking


def test_words_are_hidden_whole_and_at_the_rate() -> None:
    words = np.repeat(np.arange(40_000), np.arange(40_000) % 4 + 1)
    is_text = words % 5 > 0
    groups = WholeWordMasking().choose(is_text, words, 0.15, np.random.default_rng(1))
    chosen = groups >= 0
    assert not chosen[~is_text].any()
    assert (groups[chosen] == np.flatnonzero(chosen)).all()
    sizes, hidden = np.bincount(words), np.bincount(words, weights=chosen)
    assert set((hidden / sizes).tolist()) == {0.0, 1.0}
    n_words = len(np.unique(words[is_text]))
    share = len(np.unique(words[chosen])) / n_words
    assert abs(share - 0.15) < 3 * np.sqrt(0.15 * 0.85 / n_words)


def test_no_tokens_are_no_words() -> None:
    none = np.empty(0, dtype=np.int64)
    assert len(WholeWordMasking().choose(none > 0, none, 0.15, np.random.default_rng(1))) == 0
