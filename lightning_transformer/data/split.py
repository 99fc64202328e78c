"""The contract of a split, and the split that keeps its examples in a list."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from lightning_transformer.data.compact import Compact, compact
from lightning_transformer.data.examples import Example, Pair, Preference, Tokens
from lightning_transformer.data.pieces import BETWEEN_WORDS, FilePart, cut


class Record(NamedTuple):
    """One raw example before tokenisation.

    texts: the texts of the example, in the order of the example's fields.
    note: None, a label, or a list of [first character, tag]; anything that JSON can hold.
    document: name of the text that the example is cut out of; None = it is a text of its own.
    part: a part of a file that is the text, for one that is too long for memory; texts is () then.
    source: of a mixture, the name of the source that the example is from.
    """

    texts: tuple[str, ...]
    note: Any = None
    document: str | None = None
    part: FilePart | None = None
    source: str | None = None

    def blocks(self) -> Iterator[str]:
        """The first text, in blocks."""
        return iter(self.texts[:1]) if self.part is None else self.part.blocks()

    def learned(self) -> Iterator[str]:
        """What a tokenizer learns from: the texts, a long one in pieces of whole words."""
        return iter(self.texts) if self.part is None else cut(self.part.blocks(), BETWEEN_WORDS)


class Split(Protocol):
    """Examples by number. `n_tokens` counts the text tokens (with end-of-document) of one pass."""

    @property
    def n_tokens(self) -> int: ...

    @property
    def lengths(self) -> np.ndarray | None:
        """Tokens of each example (n,), of both sides of pairs (n, 2), or None if all are alike."""
        ...

    @property
    def documents(self) -> np.ndarray | None:
        """Numbers of the first and last document in each example (n, 2), or None if unknown."""
        ...

    def __len__(self) -> int:
        """Number of examples in one pass (an epoch); the same in every epoch."""
        ...

    def get(self, index: int, epoch: int) -> Example:
        """Example `index` of pass `epoch`: a pure function of both."""
        ...


def _lengths(examples: Sequence[Any]) -> np.ndarray:
    """The tokens of each row (n,), or of both sides of each pair (n, 2)."""
    if not isinstance(examples, Compact):
        return np.array([len(example.ids) for example in examples])
    if issubclass(examples.kind, Preference):  # two rows with one prompt
        prompt, chosen, rejected = map(examples.lengths, Preference._fields)
        return (prompt + np.maximum(chosen, rejected)).astype(np.int32)
    are_pairs = issubclass(examples.kind, Pair)
    fields = ("source", "target") if are_pairs else examples.arrays()
    lengths = np.stack([examples.lengths(field) for field in fields], axis=1).astype(np.int32)
    return lengths if are_pairs else lengths.max(axis=1)


class ExampleList:
    """A split that keeps its examples in columns, see `Compact`; the same ones in every epoch.

    of: number of the document that each example is cut out of. Without, each is a document of its
    own, except rows of plain tokens: these are cut out of documents that are not known. lengths:
    as `Split` has them, where they are known; else they are counted.
    """

    def __init__(
        self,
        examples: Iterable[Example],
        n_tokens: int,
        of: Sequence[int] | np.ndarray | None = None,
        lengths: np.ndarray | None = None,
    ) -> None:
        self.examples = compact(examples)
        self.n_tokens = n_tokens
        self.lengths = _lengths(self.examples) if lengths is None else lengths
        n = len(self.examples)
        self.of = None if of is None else np.asarray(of, dtype=np.int64)
        if of is None and not (n and isinstance(self.examples[0], Tokens)):
            self.of = np.arange(n, dtype=np.int64)
        assert self.of is None or len(self.of) == n, "one document for each example"

    @property
    def documents(self) -> np.ndarray | None:
        """Numbers of the first and last document in each example (n, 2), or None if unknown."""
        return None if self.of is None else np.stack([self.of, self.of], axis=1)

    def __len__(self) -> int:
        return len(self.examples)

    def get(self, index: int, epoch: int) -> Example:
        return self.examples[index]
