"""Whether documents of one split share n-grams of words with another split."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lightning_transformer.data.cleaning.base import Dropped, Stage, Texts
from lightning_transformer.data.cleaning.ngrams import ngram_numbers
from lightning_transformer.nn import checks

MANY = 1 << 17  # n-grams that are looked up at a time


class HeldOut:
    """The n-grams of a held-out split, and which of them other splits have too."""

    def __init__(self) -> None:
        self.n_documents = 0
        self._new: list[np.ndarray] = []
        self._ends: list[int] = []  # n-grams up to the end of each document that has some
        self._numbers = np.empty(0, dtype=np.uint64)  # sorted
        self._of = np.empty(0, dtype=np.uint32)  # place in it of each n-gram of each document
        self._marks: dict[str, np.ndarray] = {}

    def add(self, numbers: np.ndarray) -> None:
        """Add the different n-grams of a document."""
        self.n_documents += 1
        if len(numbers):
            self._new.append(numbers)
            self._ends.append(len(numbers) + (self._ends[-1] if self._ends else 0))

    def mark(self, split: str, numbers: np.ndarray) -> None:
        """Note that another split has these n-grams; none can be added any more."""
        if self._new:
            self._numbers, places = np.unique(np.concatenate(self._new), return_inverse=True)
            self._of, self._new = places.astype(np.uint32), []
        if not len(self._numbers):
            return
        marks = self._marks.setdefault(split, np.zeros(len(self._numbers), dtype=bool))
        places = np.searchsorted(self._numbers, numbers)
        places[places == len(self._numbers)] = 0
        marks[places[self._numbers[places] == numbers]] = True

    def n_overlapping(self, split: str) -> int:
        """How many documents share an n-gram with another split."""
        if split not in self._marks:
            return 0
        starts = np.array([0, *self._ends[:-1]])
        return int(np.logical_or.reduceat(self._marks[split][self._of], starts).sum())


@dataclass
class LeakCheck(Stage):
    """Counts the documents of test and val that share an n-gram of words with another split.

    It comes last and removes nothing. Train is looked up in val and test, and val in test. Words
    and n-grams: see `ngram_numbers`; a document of fewer words is found where another one consists
    of the same words. 13 words are those of GPT-3 (Brown et al. 2020, C), 8 those of GPT-2.
    Memory: about 12 bytes per word of val and test, four times as much while they are sorted.

    ngram: words, at least 1. Raises ValueError where there is neither a val nor a test split.
    """

    order: ClassVar[int] = 90
    only_looks: ClassVar[bool] = True

    ngram: int = 13

    def __post_init__(self) -> None:
        checks.at_least("cleaning.leak_check.ngram", self.ngram, 1, 13)

    def begin(self) -> None:
        self._held_out: dict[str, HeldOut] = {}
        self._waiting: list[np.ndarray] = []
        self._n_waiting, self._split = 0, ""

    def clean(self, split: str, texts: Texts) -> Texts | Dropped:
        if split != self._split:
            self._look_up()
            self._split = split
            if split != "train":
                self._held_out[split] = HeldOut()
        numbers = ngram_numbers(texts, self.ngram)
        if split != "train":
            numbers = np.unique(numbers)
            self._held_out[split].add(numbers)
        self._waiting.append(numbers)
        self._n_waiting += len(numbers)
        if self._n_waiting >= MANY:
            self._look_up()
        return texts

    def _look_up(self) -> None:
        """Look up the n-grams of a split in those held out before it."""
        earlier = [held for name, held in self._held_out.items() if name != self._split]
        if self._waiting and earlier:
            numbers = np.unique(np.concatenate(self._waiting))
            for held in earlier:
                held.mark(self._split, numbers)
        self._waiting, self._n_waiting = [], 0

    def found(self) -> dict[str, Any]:
        self._look_up()
        if not self._held_out:
            raise ValueError(
                "cleaning.leak_check has neither a val nor a test split to look at; leave it out, "
                "or use data.test_fraction=0.1"
            )
        overlaps: dict[str, Any] = {}
        names = list(self._held_out)
        for number, (split, held) in enumerate(self._held_out.items()):
            others = {other: held.n_overlapping(other) for other in ["train", *names[number + 1 :]]}
            overlaps[split] = {
                "documents": held.n_documents,
                "overlapping": others,
                "share": {other: n / held.n_documents for other, n in others.items()},
            }
        return {"ngram": self.ngram, "overlaps": overlaps}

    def describe(self, found: dict[str, Any]) -> list[str]:
        return [
            f"leak check: {n:,} of {of['documents']:,} {split} documents "
            f"({of['share'][other]:.1%}) share {found['ngram']} words in a row with {other}"
            for split, of in found["overlaps"].items()
            for other, n in of["overlapping"].items()
        ]
