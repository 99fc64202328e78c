"""MinHash against exact Jaccard similarities, and near duplicates that are known."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lightning_transformer.data.cleaning.base import Dropped
from lightning_transformer.data.cleaning.near_duplicates import (
    MinHash,
    NearDuplicates,
    bands_and_rows,
    chance,
)
from lightning_transformer.data.cleaning.ngrams import ngram_numbers

GONE = Dropped("similar to an earlier one")


@pytest.mark.parametrize("jaccard", [0.0, 0.1, 0.3, 0.5, 0.8, 0.95, 1.0])
def test_signatures_agree_as_often_as_the_sets(jaccard: float) -> None:
    """Within 4 standard deviations of the mean of 20 pairs of sets, each in 512 places."""
    draw, k, estimates, exact = np.random.default_rng(7), 512, [], []
    minhash = MinHash(k)
    for _ in range(20):
        n = 300
        n_shared = round(2 * n * jaccard / (1 + jaccard))
        words = draw.integers(0, 2**63, 2 * n - n_shared, dtype=np.uint64)
        one, other = words[:n], words[n - n_shared :]
        estimates.append(float((minhash.signature(one) == minhash.signature(other)).mean()))
        exact.append(n_shared / (2 * n - n_shared))
    deviation = np.sqrt(max(jaccard * (1 - jaccard), 1e-12) / (20 * k))
    assert abs(np.mean(estimates) - np.mean(exact)) <= 4 * deviation + 1e-9


def test_a_signature_is_of_a_set() -> None:
    minhash, words = MinHash(16), np.arange(1, 5000, dtype=np.uint64)
    shuffled = np.concatenate([words[::-1], words[:100]])
    assert np.array_equal(minhash.signature(words), minhash.signature(shuffled))


def test_bands_have_the_threshold_that_is_asked_for() -> None:
    for n, threshold in ((128, 0.8), (128, 0.5), (256, 0.9), (16, 0.7)):
        bands, rows = bands_and_rows(n, threshold)
        assert bands * rows <= n
        others = [(n // r, r) for r in range(1, n + 1)]
        errors = [abs((1 / b) ** (1 / r) - threshold) for b, r in others]
        assert abs((1 / bands) ** (1 / rows) - threshold) == min(errors)
    assert bands_and_rows(128, 0.8) == (11, 11)
    assert chance(0.8, 11, 11) == pytest.approx(1 - (1 - 0.8**11) ** 11)


def similar(words: list[str], share: float) -> str:
    """A text that differs from these words at its end alone: `share` of the 5-grams are shared."""
    n = len(words) - 4
    n_other = round(n * (1 - share) / (1 + share))
    return " ".join([*words[: len(words) - n_other], *(f"other{i}" for i in range(n_other))])


@pytest.mark.parametrize("share", [0.5, 0.7, 0.8, 0.9])
def test_pairs_are_found_as_often_as_the_bands_say(share: float) -> None:
    """150 pairs of documents of a Jaccard similarity; 4 standard deviations."""
    stage, n, found, draw = NearDuplicates(), 150, 0, random.Random(3)
    stage.begin()
    exact = []
    for _ in range(n):
        words = [f"w{draw.getrandbits(40)}" for _ in range(200)]
        other = similar(words, share)
        a, b = (set(ngram_numbers([text], 5).tolist()) for text in (" ".join(words), other))
        exact.append(len(a & b) / len(a | b))
        assert stage.clean("train", (" ".join(words),)) != GONE
        found += stage.clean("train", (other,)) == GONE
    expected = np.mean([chance(jaccard, stage.bands, stage.rows) for jaccard in exact])
    deviation = np.sqrt(max(expected * (1 - expected), 0.01) / n)
    assert abs(found / n - expected) <= 4 * deviation


def test_known_near_duplicates_go_and_others_stay() -> None:
    text = "It was a bright cold day in April and the clocks were striking thirteen. " + " ".join(
        f"Sentence {i} says something else." for i in range(40)
    )
    stage = NearDuplicates()
    stage.begin()
    assert stage.clean("test", (text,)) == (text,)
    assert stage.clean("train", (text.upper().replace(".", " !"),)) == GONE
    assert stage.clean("train", (text.replace("bright", "dark"),)) == GONE
    assert stage.clean("train", ("An entirely different text of few words.",)) != GONE
    assert stage.clean("train", ("?!",)) == ("?!",)
    assert stage.clean("train", ("...",)) == ("...",)


def test_short_documents_are_compared_as_wholes() -> None:
    stage = NearDuplicates()
    stage.begin()
    texts = ["Yes, sir.", "No, sir.", "yes sir", "Yes"]
    assert [stage.clean("train", (text,)) == GONE for text in texts] == [False, False, True, False]


def test_the_report_has_the_chances() -> None:
    found = NearDuplicates().found()
    assert (found["bands"], found["rows"]) == (11, 11)
    assert found["chance_by_jaccard"]["0.8"] == round(chance(0.8, 11, 11), 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.0}, "threshold=1.0 must be above 0 and below 1"),
        ({"n_permutations": 1}, "n_permutations=1 must be from 2 to 1024"),
        ({"ngram": 0}, "ngram=0 must be at least 1"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NearDuplicates(**options)  # type: ignore[arg-type]
