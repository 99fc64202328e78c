"""Which of two letters comes first: a question that only position information answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, Philox

from lightning_transformer.data import encode
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Labelled
from lightning_transformer.data.split import ExampleList, Record
from lightning_transformer.nn import checks

FILLER = "abcdefgh"
MARKERS = ("A", "B")
SEED = 2017  # of the texts, which are the same for all runs


@dataclass(kw_only=True, eq=False)
class Order(DataModule):
    """Random letters with one A and one B among them, labelled with the marker that comes first.

    Half of the texts have A first. A bidirectional model without positions sees the same
    letters in both kinds, and is right half of the time; so is one that sees distances but no
    direction, because a text and its mirror image have the same ones.

    n_train, n_eval: texts for training, and for val and test each. seq_len: letters of a text.
    Raises ValueError for fewer than 2 letters or texts.
    """

    name = "order"
    example = Labelled

    n_train: int = 4000
    n_eval: int = 500
    seq_len: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least("data.seq_len", self.seq_len, 2, 16)
        checks.at_least("data.n_train", self.n_train, 2, 4000)
        checks.at_least("data.n_eval", self.n_eval, 2, 500)

    def read(self) -> dict[str, list[Record]]:
        """Return the texts of each split, drawn anew for each, and set `labels`."""
        self.labels = list(MARKERS)
        sizes = {"train": self.n_train, "val": self.n_eval, "test": self.n_eval}
        return {
            split: _drawn(Generator(Philox(key=[SEED, number])), size, self.seq_len)
            for number, (split, size) in enumerate(sizes.items())
        }

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        return encode.labelled(split, records, self.vocabulary, self.labels, self.seq_len)


def _drawn(generator: Generator, n: int, length: int) -> list[Record]:
    """n texts; every other one has A first."""
    letters, records = np.array(list(FILLER)), []
    for row in range(n):
        text = letters[generator.integers(len(FILLER), size=length)]
        first, second = MARKERS if row % 2 == 0 else MARKERS[::-1]
        text[np.sort(generator.choice(length, size=2, replace=False))] = [first, second]
        records.append(Record(("".join(text),), first))
    return records
