"""Which of two letters comes first: a question that only position information answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator, Philox

from lightning_transformer.data import encode
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Labelled
from lightning_transformer.data.split import ExampleList, Record
from lightning_transformer.data.tokenizers.base import Tokenizer
from lightning_transformer.nn import checks

FILLER = "abcdefgh"
MARKERS = ("A", "B")
SEED = 2017  # of the texts, which are the same for all runs


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

    def __init__(
        self,
        *,
        tokenizer: Tokenizer,
        n_train: int = 4000,
        n_eval: int = 500,
        seq_len: int = 16,
        batch_size: int = 32,
        eval_batch_size: int = 64,
        num_workers: int = 0,
    ) -> None:
        super().__init__(
            seq_len=seq_len,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            tokenizer=tokenizer,
        )
        for key, value, near in (
            ("seq_len", seq_len, 16),
            ("n_train", n_train, 4000),
            ("n_eval", n_eval, 500),
        ):
            checks.at_least(f"data.{key}", value, 2, near)
        self.n_train, self.n_eval = n_train, n_eval

    def read(self) -> dict[str, list[Record]]:
        """Return the texts of each split, drawn anew for each, and set `labels`."""
        self.labels = list(MARKERS)
        sizes = {"train": self.n_train, "val": self.n_eval, "test": self.n_eval}
        return {
            split: _drawn(Generator(Philox(key=[SEED, number])), size, self.seq_len)
            for number, (split, size) in enumerate(sizes.items())
        }

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        assert self.labels is not None, "read() sets the labels"
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
