"""Rows of seq_len + 1 tokens cut out of one long array."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lightning_transformer.data.examples import Tokens

GOLDEN = 0.6180339887498949


def phase(epoch: int, seq_len: int) -> int:
    """Return where the first row of a training epoch starts, in [0, seq_len).

    Multiples of the golden ratio, modulo 1, never come close to each other (Weyl's sequence), so
    that the cuts of successive epochs differ; epoch 0 starts at 0.
    """
    return int(seq_len * (epoch * GOLDEN % 1.0))


class Joined(NamedTuple):
    """What `join` gives; tokens may be anything with a length and slices.

    unknown_bytes: see `Rows`; of tokens that were encoded before.
    """

    tokens: Any
    ends: np.ndarray
    unknown_bytes: float | None = None


def token_type(eos_id: int) -> type[np.integer[Any]]:
    """The smallest type for tokens; special ids follow those of text, so eos_id + 4 bounds all."""
    return np.uint16 if eos_id + 4 < 2**16 else np.int32


def join(documents: Sequence[np.ndarray] | Joined, eos_id: int) -> Joined:
    """Put eos_id before, between and behind documents: all tokens (n,), and each document's end.

    An eos_id is the first input of the document that it starts, and the last target of the one
    that it ends. So a document of k tokens has k + 1 inputs and k + 1 targets, and the ends count
    inputs: document d has those from ends[d - 1] to ends[d]. Documents that are joined already,
    such as mapped ones, stay as they are.
    """
    if isinstance(documents, Joined):
        return documents
    ends = np.cumsum(np.array([len(ids) + 1 for ids in documents], dtype=np.int64))
    tokens = np.full(1 + (int(ends[-1]) if len(ends) else 0), eos_id, dtype=token_type(eos_id))
    start = 1
    for ids, end in zip(documents, ends.tolist(), strict=True):
        tokens[start:end] = ids
        start = end + 1
    return Joined(tokens, ends)


class Rows:
    """Rows that overlap by one token, so that each token but the first is a target exactly once.

    In training the first row starts at `phase(epoch)`, the last row is moved back to fit, and the
    number of rows is the same in every epoch. In evaluation the rows start at 0 and the last
    may be short. Rows are slices of the one array, never copies.

    tokens: (n,) integers, see `Joined`. ends: where each document ends, see `join`, or None when
    that is not known. numbered: whether a row has the document number of each token as an input,
    which keeps documents apart. `n_tokens` counts targets: tokens of text, and an end per document.
    unknown_bytes: mean UTF-8 bytes behind an unknown token, None = there is none or nobody tells.
    """

    unknown_bytes: float | None = None

    def __init__(
        self,
        tokens: Any,
        *,
        seq_len: int,
        training: bool,
        ends: np.ndarray | None = None,
        numbered: bool = True,
    ) -> None:
        self.tokens, self.ends, self.numbered = tokens, ends, numbered
        self.seq_len, self.training = seq_len, training
        self.n_tokens = max(len(tokens) - 1, 0)
        self.lengths = None  # all alike
        self._n_rows = self.n_tokens // seq_len if training else -(-self.n_tokens // seq_len)

    def __len__(self) -> int:
        return self._n_rows

    def get(self, index: int, epoch: int) -> Tokens:
        start = index * self.seq_len
        if self.training:
            start = min(start + phase(epoch, self.seq_len), self.n_tokens - self.seq_len)
        ids = self.tokens[start : start + self.seq_len + 1]
        if self.ends is None:
            return Tokens(ids)
        numbers = None
        if self.numbered:
            places = np.arange(start, start + len(ids))
            numbers = np.searchsorted(self.ends, places, side="right")
        if self.training:
            return Tokens(ids, numbers)
        within = slice(*np.searchsorted(self.ends, (start + 1, start + len(ids) - 1)))
        return Tokens(ids, numbers, self.ends[within] - start)

    @property
    def documents(self) -> np.ndarray | None:
        """Numbers of the documents of each row's first and last input (n, 2); of evaluation."""
        if self.ends is None or self.training:
            return None
        starts = np.arange(self._n_rows) * self.seq_len
        last = np.minimum(starts + self.seq_len, self.n_tokens) - 1
        return np.searchsorted(self.ends, np.stack([starts, last], axis=1), side="right")
