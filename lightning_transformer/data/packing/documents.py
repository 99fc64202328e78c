"""The rows of `stream`, with the document number of each token."""

from collections.abc import Sequence

import numpy as np

from lightning_transformer.data.packing.rows import Rows, join


class Documents:
    """Packing option `documents`: the same rows, in which each token has its document's number.

    From these numbers the task keeps attention inside one document, restarts positions and leaves
    out targets that would cross a boundary. End-of-document belongs to the document that it ends,
    and is a target of it.
    """

    def pack(
        self, documents: Sequence[np.ndarray], *, seq_len: int, eos_id: int, training: bool
    ) -> Rows:
        """Return the rows of a split; seq_len in tokens."""
        tokens, ends = join(documents, eos_id)
        return Rows(tokens, seq_len=seq_len, training=training, ends=ends)
