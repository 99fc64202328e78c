"""Sums of two numbers of two digits, each question once: small data whose answers are known."""

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import Generator, Philox

from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Pair
from lightning_transformer.data.split import ExampleList, Record
from lightning_transformer.nn import checks

N_QUESTIONS = 100 * 100


@dataclass(kw_only=True, eq=False)
class Sums(DataModule):
    """Questions such as 07+95= with their answer in three digits, 102.

    All 10,000 questions are put into an order by stream_seed; of it the first n_eval are the test,
    the next n_eval the validation, the next n_train the training, so that none is in two. The seed
    of the run changes nothing in them, and a smaller n_train takes away the last ones.

    n_train: training questions. n_eval: of val and of test each. seq_len: most tokens of a
    question, and of an answer.
    Raises ValueError for values outside their range, and for more questions than there are.
    """

    name = "sums"
    example = Pair

    n_train: int = 8_000
    n_eval: int = 1_000
    stream_seed: int = 1
    seq_len: int = 16
    batch_size: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least("data.n_train", self.n_train, 2, 8000)
        checks.at_least("data.n_eval", self.n_eval, 2, 1000)
        checks.at_least("data.stream_seed", self.stream_seed, 0, 1)
        needed = self.n_train + 2 * self.n_eval
        if needed > N_QUESTIONS:
            raise ValueError(
                f"data.n_train={self.n_train} and two times data.n_eval={self.n_eval} are above "
                f"the {N_QUESTIONS:,} questions of sums; use data.n_train=8000 data.n_eval=1000 or "
                "less"
            )

    def floor(self) -> dict[str, float]:
        """Metric names to the best value that any model can reach."""
        return {"loss": 0.0, "perplexity": 1.0, "accuracy": 1.0, "exact_match": 1.0}

    def read(self) -> dict[str, list[Record]]:
        """Return the questions of each split, with their answers."""
        order = Generator(Philox(key=self.stream_seed)).permutation(N_QUESTIONS).tolist()
        ends = {"test": self.n_eval, "val": 2 * self.n_eval}
        train = slice(ends["val"], ends["val"] + self.n_train)
        return {
            "train": [_question(n) for n in order[train]],
            "val": [_question(n) for n in order[ends["test"] : ends["val"]]],
            "test": [_question(n) for n in order[: ends["test"]]],
        }

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        encode = self.vocabulary.encode
        examples = [Pair(encode(r.texts[0]), encode(r.texts[1])) for r in records]
        longest = max(len(side) for example in examples for side in (example[0], example[1]))
        if longest > self.seq_len:
            raise ValueError(
                f"data.seq_len={self.seq_len}: a {split} question of sums has {longest} tokens; "
                f"use data.seq_len={longest} or more"
            )
        return ExampleList(examples, sum(len(e.source) + len(e.target) for e in examples))


def _question(number: int) -> Record:
    one, other = divmod(number, 100)
    return Record((f"{one:02}+{other:02}=", f"{one + other:03}"))
