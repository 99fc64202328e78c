"""The contract of packing options."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lightning_transformer.data.packing.rows import Joined, Rows


class Packing(Protocol):
    """How the encoded documents of a split become rows of seq_len + 1 tokens."""

    def pack(
        self,
        documents: Sequence[np.ndarray] | Joined,
        *,
        seq_len: int,
        eos_id: int,
        training: bool,
    ) -> Rows: ...
