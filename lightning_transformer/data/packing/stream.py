"""One long stream of tokens, cut without regard to documents."""

from collections.abc import Sequence

import numpy as np

from lightning_transformer.data.packing.rows import Joined, Rows, join


class Stream:
    """Packing option `stream`: documents one after the other, end-of-document around each.

    Attention and targets cross document boundaries: a row may hold the end of one document and
    the start of another, and the model is asked to predict the first token of the next document.
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
        return Rows(tokens, seq_len=seq_len, training=training, ends=ends, numbered=False)
