"""masking=span."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare, geom

from lightning_transformer.tasks.masking.span import SpanMasking


def spans(groups: np.ndarray, words: np.ndarray) -> list[int]:
    """Words of each group."""
    return [len(np.unique(words[groups == g])) for g in np.unique(groups[groups >= 0])]


def test_lengths_are_those_of_the_cut_geometric_distribution() -> None:
    """With so few spans that none meets another one or an end."""
    words = np.repeat(np.arange(20_000), 2)
    found: list[int] = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        groups = SpanMasking().choose(np.ones(len(words), dtype=bool), words, 0.01, random)
        found += spans(groups, words)[1:]
    lengths = np.arange(1, 11)
    chances = geom.pmf(lengths, 0.2) / geom.cdf(10, 0.2)
    assert (lengths * chances).sum() == pytest.approx(3.797, abs=1e-3)  # 3.8 in the paper
    counts = np.bincount(found, minlength=11)[1:]
    assert len(counts) == 10
    assert chisquare(counts, chances * counts.sum()).pvalue > 1e-3
    assert np.mean(found) == pytest.approx(3.797, abs=3 * 2.7 / np.sqrt(len(found)))


def test_spans_hold_whole_words_of_text_and_meet_no_special_token() -> None:
    words = np.repeat(np.arange(60), np.arange(60) % 3 + 1)
    is_text = words % 10 != 9
    for seed in range(200):
        groups = SpanMasking().choose(is_text, words, 0.4, np.random.default_rng(seed))
        assert (groups[~is_text] == -1).all()
        for g in np.unique(groups[groups >= 0]):
            (place,) = np.nonzero(groups == g)
            assert (np.diff(place) == 1).all(), "a span is in one piece"
            whole = np.isin(words, words[place])
            assert whole.sum() == len(place), "and of whole words"
            assert len(np.unique(words[place])) <= 10


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.5])
def test_the_share_of_hidden_tokens_is_the_rate(rate: float) -> None:
    words = np.repeat(np.arange(40), [1, 2, 6, 3] * 10)
    is_text = words > 2
    hidden = []
    for seed in range(2000):
        groups = SpanMasking().choose(is_text, words, rate, np.random.default_rng(seed))
        hidden.append((groups >= 0).sum() / is_text.sum())
    assert abs(np.mean(hidden) - rate) < 4 * np.std(hidden) / np.sqrt(len(hidden))


def test_a_rate_of_nearly_all_hides_nearly_all() -> None:
    words = np.arange(50)
    groups = SpanMasking().choose(words >= 0, words, 0.98, np.random.default_rng(0))
    assert (groups >= 0).sum() == 49


def test_no_tokens_have_no_spans() -> None:
    none = np.empty(0, dtype=np.int64)
    assert len(SpanMasking().choose(none > 0, none, 0.15, np.random.default_rng(1))) == 0


@pytest.mark.parametrize(
    ("key", "value"), [("stop_rate", 0.0), ("stop_rate", 1.5), ("max_words", 0)]
)
def test_what_no_span_has_is_refused(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{key}={value} must"):
        SpanMasking(**{key: value})  # type: ignore[arg-type]
