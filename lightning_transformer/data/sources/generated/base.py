"""What generated sources share: fresh samples by number, splits that are apart, known floors."""

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.random import Generator, Philox

from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Pair
from lightning_transformer.data.split import ExampleList, Record
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.nn import checks

SPLITS = ("train", "val", "test")
SHARES = {0: "test", 1: "val"}  # of ten parts, told by the hash of the question; the rest trains
MOST_DRAWS = 2000  # until a question of the right part is found


class Drawn(NamedTuple):
    """A question, its answer, and which characters of the answer are asked; "" = all.

    asked: a 1 for each character of the answer that is to be predicted, and a 0 for the others.
    """

    question: str
    answer: str
    asked: str = ""


@dataclass(kw_only=True, eq=False)
class Generated(DataModule):
    """Questions drawn by chance, each with its one right answer, as pairs.

    Sample number i of pass e over the training data is a function of (stream_seed, e, i) alone: no
    question is stored, each pass has fresh ones, and the seed of the model changes nothing in them.
    The hash of a question says whether it is of training, validation or test, so that none is in
    two. The answer follows from the question: the least possible loss is 0, the best accuracy 1.

    min_length, max_length: of a question, as the source counts it; test_length: the longest of the
    test, whose lengths start above max_length; null = those of training. n_train: questions per
    pass; n_eval: of val and of test each. stream_seed: of the samples. seq_len: most characters of
    question and of answer.
    Raises ValueError for values outside their range, and for questions longer than seq_len.
    """

    example = Pair

    min_length: int = 1
    max_length: int = 16
    test_length: int | None = None
    n_train: int = 4_000
    n_eval: int = 500
    stream_seed: int = 1
    seq_len: int = 48
    batch_size: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least("data.min_length", self.min_length, 1, 1)
        checks.at_least("data.max_length", self.max_length, self.min_length, self.min_length)
        if self.test_length is not None:
            least = self.max_length + 1
            checks.at_least("data.test_length", self.test_length, least, least)
        checks.at_least("data.n_train", self.n_train, 2, 4000)
        checks.at_least("data.n_eval", self.n_eval, 2, 500)
        checks.at_least("data.stream_seed", self.stream_seed, 0, 1)

    @abstractmethod
    def draw(self, random: Generator, length: int) -> Drawn:
        """Draw a question of this length with its answer."""

    def sample(self, split: str, epoch: int, index: int) -> Drawn:
        """The sample of a split with this number in this pass."""
        key = [self.stream_seed, SPLITS.index(split)]
        random = Generator(Philox(key=key, counter=[0, 0, index, epoch]))
        low, high = self.min_length, self.max_length
        if split == "test" and self.test_length is not None:
            low, high = self.max_length + 1, self.test_length
        for _ in range(MOST_DRAWS):
            found = self.draw(random, int(random.integers(low, high + 1)))
            if _part(found.question) == split:
                return found
        raise ValueError(
            f"data.max_length={self.max_length}: too few questions of {self.name} for three splits "
            f"without a common one; try {self.max_length + 4}"
        )

    def floor(self) -> dict[str, float]:
        """Metric names to the best value that any model can reach."""
        return {"loss": 0.0, "accuracy": 1.0, "exact_match": 1.0}

    def read(self) -> dict[str, list[Record]]:
        """Return the samples of the first pass of each split."""
        sizes = {"train": self.n_train, "val": self.n_eval, "test": self.n_eval}
        records: dict[str, list[Record]] = {}
        for split, size in sizes.items():
            seen: dict[tuple[str, ...], Record] = {}
            for index in range(size):
                found = self.sample(split, 0, index)
                texts = (found.question, found.answer)
                if max(map(len, texts)) > self.seq_len:
                    raise ValueError(
                        f"data.seq_len={self.seq_len}: a {split} question of {self.name} has "
                        f"{max(map(len, texts))} characters; use data.seq_len=128 or shorter ones"
                    )
                seen[texts if split != "train" else (*texts, str(index))] = Record(
                    texts, found.asked or None
                )
            records[split] = list(seen.values())
        return records

    def encode(self, split: str, records: Sequence[Record]) -> "ExampleList | FreshPairs":
        examples = [
            as_pair(Drawn(record.texts[0], record.texts[1], record.note or ""), self.vocabulary)
            for record in records
        ]
        n_tokens = sum(len(e.source) + len(e.target) for e in examples)
        if split != "train":
            return ExampleList(examples, n_tokens)
        return FreshPairs(self, ExampleList(examples, n_tokens))


def _part(question: str) -> str:
    digest = hashlib.blake2b(question.encode(), digest_size=8).digest()
    return SHARES.get(int.from_bytes(digest, "little") % 10, "train")


def as_pair(drawn: Drawn, vocabulary: Vocabulary) -> Pair:
    """Encode a sample; which characters are asked needs a token for each character."""
    source, target = vocabulary.encode(drawn.question), vocabulary.encode(drawn.answer)
    if not drawn.asked:
        return Pair(source, target)
    if len(target) != len(drawn.asked):
        raise ValueError(
            "tokenizer: some characters of an answer are not asked, which needs a token for each "
            "character; use tokenizer=characters"
        )
    return Pair(source, target, np.array([mark == "1" for mark in drawn.asked]))


class FreshPairs:
    """Training samples, drawn anew in each pass; `lengths` are those of the first."""

    documents = None

    def __init__(self, source: Generated, first: ExampleList) -> None:
        self.source, self.first = source, first
        self.n_tokens, self.lengths = first.n_tokens, first.lengths

    def __len__(self) -> int:
        return len(self.first)

    def get(self, index: int, epoch: int) -> Pair:
        """Sample `index` of pass `epoch`."""
        if epoch == 0:
            pair = self.first.get(index, 0)
            assert isinstance(pair, Pair)
            return pair
        return as_pair(self.source.sample("train", epoch, index), self.source.vocabulary)
