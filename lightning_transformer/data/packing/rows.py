"""Rows of seq_len + 1 tokens cut out of one long array."""

from collections.abc import Sequence

import numpy as np

from lightning_transformer.data.examples import Tokens

GOLDEN = 0.6180339887498949


def phase(epoch: int, seq_len: int) -> int:
    """Return where the first row of a training epoch starts, in [0, seq_len).

    Multiples of the golden ratio, modulo 1, never come close to each other (Weyl's sequence), so
    that the cuts of successive epochs differ; epoch 0 starts at 0.
    """
    return int(seq_len * (epoch * GOLDEN % 1.0))


def join(documents: Sequence[np.ndarray], eos_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Put eos_id behind each document; return all tokens (n,) and where each document ends."""
    ends = np.cumsum(np.array([len(ids) + 1 for ids in documents], dtype=np.int64))
    # Special ids directly follow those of text, so eos_id + 4 bounds every id.
    kind = np.uint16 if eos_id + 4 < 2**16 else np.int32
    tokens = np.full(int(ends[-1]) if len(ends) else 0, eos_id, dtype=kind)
    start = 0
    for ids, end in zip(documents, ends.tolist(), strict=True):
        tokens[start : end - 1] = ids
        start = end
    return tokens, ends


class Rows:
    """Rows that overlap by one token, so that each token but the first is a target exactly once.

    In training the first row starts at `phase(epoch)`, the last row is moved back to fit, and the
    number of rows is the same in every epoch. In evaluation the rows start at 0 and the last
    may be short. Rows are slices of the one array, never copies.

    tokens: (n,) integers. ends: where each document ends, or None when rows need no
    document numbers.
    """

    def __init__(
        self, tokens: np.ndarray, *, seq_len: int, training: bool, ends: np.ndarray | None = None
    ) -> None:
        self.tokens, self.ends = tokens, ends
        self.seq_len, self.training = seq_len, training
        self.n_tokens = len(tokens)
        self.lengths = None  # all alike
        targets = max(self.n_tokens - 1, 0)
        self._n_rows = targets // seq_len if training else -(-targets // seq_len)

    def __len__(self) -> int:
        return self._n_rows

    def get(self, index: int, epoch: int) -> Tokens:
        start = index * self.seq_len
        if self.training:
            start = min(start + phase(epoch, self.seq_len), self.n_tokens - self.seq_len - 1)
        ids = self.tokens[start : start + self.seq_len + 1]
        if self.ends is None:
            return Tokens(ids)
        places = np.arange(start, start + len(ids))
        return Tokens(ids, np.searchsorted(self.ends, places, side="right"))
