"""Documents that are nearly there twice."""

import random
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lightning_transformer.data.cleaning.base import Dropped, Stage, Texts
from lightning_transformer.data.cleaning.digest_set import DigestSet
from lightning_transformer.data.cleaning.ngrams import FACTOR, ngram_numbers
from lightning_transformer.nn import checks

SEED = 1
PART = 1024  # n-grams that are permuted at a time


def bands_and_rows(n_permutations: int, threshold: float) -> tuple[int, int]:
    """Bands b and rows r, b r <= n_permutations, with (1 / b)**(1 / r) nearest to the threshold.

    A pair of documents of similarity s shares a band with probability 1 - (1 - s**r)**b, which
    rises steepest there (Leskovec, Rajaraman, Ullman 2014, Mining of Massive Datasets, 3.4.2).
    """
    choices = [(n_permutations // r, r) for r in range(1, n_permutations + 1)]
    return min(choices, key=lambda c: (abs((1 / c[0]) ** (1 / c[1]) - threshold), c[1]))


def chance(similarity: float, bands: int, rows: int) -> float:
    """The probability that two documents of this Jaccard similarity share a band."""
    return 1 - (1 - similarity**rows) ** bands


class MinHash:
    """Signatures of sets: in each place two of them agree with the probability of their Jaccard.

    Place i is the least of a_i x + b_i modulo 2**64 over the elements x, a_i odd (Broder 1997).
    """

    def __init__(self, n_permutations: int) -> None:
        draw = random.Random(SEED)
        numbers = [draw.getrandbits(64) for _ in range(2 * n_permutations)]
        self._a = np.array([a | 1 for a in numbers[:n_permutations]], dtype=np.uint64)[:, None]
        self._b = np.array(numbers[n_permutations:], dtype=np.uint64)[:, None]

    def signature(self, elements: np.ndarray) -> np.ndarray:
        """The signature (n_permutations,) of a set of at least one number, (n,) uint64."""
        parts = [elements[i : i + PART] for i in range(0, len(elements), PART)]
        return np.min([(self._a * part + self._b).min(axis=1) for part in parts], axis=0)


@dataclass
class NearDuplicates(Stage):
    """Removes a document that shares a band of its MinHash signature with an earlier kept one.

    Similar is Jaccard of the sets of n-grams of words, as `ngram_numbers` has them; earlier as in
    `ExactDuplicates`. A document with fewer words than ngram is similar to one with the same words;
    without words it stays. There is no second look at the texts: pairs a little above the threshold
    may stay and some below go, see `bands_and_rows`; the report gives the chances.
    Memory: that of `DigestSet` for each band of each document that is kept.

    ngram: words, at least 1. n_permutations: 2 to 1024. threshold: Jaccard similarity, in (0, 1).
    """

    order: ClassVar[int] = 80

    ngram: int = 5
    n_permutations: int = 128
    threshold: float = 0.8

    def __post_init__(self) -> None:
        checks.at_least("cleaning.near_duplicates.ngram", self.ngram, 1, 5)
        if not 2 <= self.n_permutations <= 1024:
            raise ValueError(
                f"cleaning.near_duplicates.n_permutations={self.n_permutations} must be from 2 to "
                "1024, for example 128"
            )
        if not 0 < self.threshold < 1:
            raise ValueError(
                f"cleaning.near_duplicates.threshold={self.threshold} must be above 0 and below 1, "
                "for example 0.8; for equal texts use cleaning=exact_duplicates"
            )
        self.bands, self.rows = bands_and_rows(self.n_permutations, self.threshold)

    def begin(self) -> None:
        self._seen = DigestSet()
        self._minhash = MinHash(self.bands * self.rows)

    def clean(self, split: str, texts: Texts) -> Texts | Dropped:
        elements = ngram_numbers(texts, self.ngram)
        if not len(elements):
            return texts
        signature = self._minhash.signature(elements).reshape(self.bands, self.rows)
        keys = np.arange(1, self.bands + 1, dtype=np.uint64)  # so that bands differ
        for row in signature.T:
            keys = (keys ^ row) * FACTOR
            keys ^= keys >> np.uint64(29)
        numbers = keys.tolist()
        if any(number in self._seen for number in numbers):
            return Dropped("similar to an earlier one")
        for number in numbers:
            self._seen.add(number)
        return texts

    def found(self) -> dict[str, Any]:
        levels = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
        chances = {str(s): round(chance(s, self.bands, self.rows), 4) for s in levels}
        return {"bands": self.bands, "rows": self.rows, "chance_by_jaccard": chances}
