"""The rows of `stream`, with the document number of each token."""

from collections.abc import Sequence

import numpy as np

from lightning_transformer.data.packing.rows import Joined, Rows, join


class Documents:
    """Packing option `documents`: the same rows, in which each token has its document's number.

    From these numbers the task keeps attention inside one document and restarts positions. As an
    input, end-of-document belongs to the document that it starts; as a target, to the one that it
    ends. So the targets are those of `stream`, and none crosses a boundary.
    """

    def pack(
        self,
        documents: Sequence[np.ndarray] | Joined,
        *,
        seq_len: int,
        eos_id: int,
        training: bool,
    ) -> Rows:
        """Return the rows of a split; seq_len in tokens."""
        tokens, ends, _ = join(documents, eos_id)
        return Rows(tokens, seq_len=seq_len, training=training, ends=ends)
