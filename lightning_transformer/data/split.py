"""The contract of a split, and the split that keeps its examples in a list."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from lightning_transformer.data.examples import Example, Pair


class Record(NamedTuple):
    """One raw example before tokenisation.

    texts: the texts of the example, in the order of the example's fields.
    note: None, a label, or a list of [first character, tag]; anything that JSON can hold.
    """

    texts: tuple[str, ...]
    note: Any = None


class Split(Protocol):
    """Examples by number. `n_tokens` counts the text tokens (with end-of-document) of one pass."""

    @property
    def n_tokens(self) -> int: ...

    @property
    def lengths(self) -> np.ndarray | None:
        """Tokens of each example (n,), or None if all are equally long."""
        ...

    def __len__(self) -> int:
        """Number of examples in one pass (an epoch); the same in every epoch."""
        ...

    def get(self, index: int, epoch: int) -> Example:
        """Example `index` of pass `epoch`: a pure function of both."""
        ...


def _length(example: Example) -> int:
    """The longer side of a pair, else the tokens of the row."""
    if isinstance(example, Pair):
        return max(len(example.source), len(example.target))
    return len(example.ids)


class ExampleList:
    """A split that keeps its examples in a list; the same ones in every epoch."""

    def __init__(self, examples: Sequence[Example], n_tokens: int) -> None:
        self.examples = examples
        self.n_tokens = n_tokens
        self.lengths = np.array([_length(example) for example in examples])

    def __len__(self) -> int:
        return len(self.examples)

    def get(self, index: int, epoch: int) -> Example:
        return self.examples[index]
