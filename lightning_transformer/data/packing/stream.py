"""One long stream of tokens, cut without regard to documents."""

from collections.abc import Sequence

import numpy as np

from lightning_transformer.data.packing.rows import Rows, join


class Stream:
    """Packing option `stream`: documents one after the other, each followed by end-of-document.

    Attention and targets cross document boundaries: a row may hold the end of one document and
    the start of another, and the model is asked to predict the first token of the next document.
    """

    def pack(
        self, documents: Sequence[np.ndarray], *, seq_len: int, eos_id: int, training: bool
    ) -> Rows:
        """Return the rows of a split; seq_len in tokens."""
        tokens, _ = join(documents, eos_id)
        return Rows(tokens, seq_len=seq_len, training=training)
