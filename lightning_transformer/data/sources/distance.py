"""How far apart two letters are: a number that only position information answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, Philox

from lightning_transformer.data import encode
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Rated
from lightning_transformer.data.split import ExampleList, Record
from lightning_transformer.nn import checks

FILLER = "abcdefgh"
MARKER = "A"
SEED = 2019  # of the texts, which are the same for all runs


@dataclass(kw_only=True, eq=False)
class Distance(DataModule):
    """Random letters with two As among them, and the share of the text that lies between the two.

        label = (j - i) / (seq_len - 1), in (0, 1], for the places i < j of the As

    Every distance is equally likely, and then every place. So guessing the mean has an error of
    about 1/12, the variance of a uniform number.

    n_train, n_eval: texts for training, and for val and test each. seq_len: letters of a text.
    Raises ValueError for fewer than 3 letters or 2 texts.
    """

    name = "distance"
    example = Rated

    n_train: int = 4000
    n_eval: int = 500
    seq_len: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least("data.seq_len", self.seq_len, 3, 16)
        checks.at_least("data.n_train", self.n_train, 2, 4000)
        checks.at_least("data.n_eval", self.n_eval, 2, 500)

    def read(self) -> dict[str, list[Record]]:
        """Return the texts of each split, drawn anew for each."""
        sizes = {"train": self.n_train, "val": self.n_eval, "test": self.n_eval}
        return {
            split: _drawn(Generator(Philox(key=[SEED, number])), size, self.seq_len)
            for number, (split, size) in enumerate(sizes.items())
        }

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        return encode.rated(split, records, self.vocabulary, self.seq_len)


def _drawn(generator: Generator, n: int, length: int) -> list[Record]:
    letters, records = np.array(list(FILLER)), []
    for _ in range(n):
        text = letters[generator.integers(len(FILLER), size=length)]
        apart = int(generator.integers(1, length))
        first = int(generator.integers(length - apart))
        text[[first, first + apart]] = MARKER
        records.append(Record(("".join(text),), apart / (length - 1)))
    return records
