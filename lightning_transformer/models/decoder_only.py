"""model=decoder_only (Radford et al. 2018)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.cache import Decoding
from lightning_transformer.tasks.base import Batch


class DecoderOnly(Transformer):
    """Every position sees itself and the past (Radford et al. 2018, GPT)."""

    causal = True
    slides = True

    def __init__(self, *, n_layers: int = 4, **shared: Any) -> None:
        super().__init__(**shared)
        self.decoder = self.stack(n_layers=n_layers, causal=True)
        self.n_prefix = self.decoder.n_prefix
        self.slides = not self.task.reads_prefix  # of which the first half is not to be lost
        self.task.hide_prefix(self.n_prefix)
        self.finish()

    def features(self, batch: Batch) -> Tensor:
        ids = batch.input_ids
        x = self.embedding(ids)
        return self.decoder(
            x, ids=ids, padding=batch.padding, documents=batch.documents, prefix=batch.prefix
        )

    def begin(self, rows: Sequence[np.ndarray]) -> tuple[Decoding, Tensor, Tensor | None]:
        """Prompts of different length are aligned right; pads on the left are masked.

        Raises ValueError for a prompt that ends inside the prefix of pattern=prefix.
        """
        longest, shortest = max(map(len, rows)), min(map(len, rows))
        if shortest < self.n_prefix:
            raise ValueError(
                f"{shortest} tokens in a prompt, but with pattern=prefix the first {self.n_prefix} "
                f"are read together; give {self.n_prefix} tokens or more"
            )
        ids = np.full((len(rows), longest), self.task.vocabulary.pad_id, dtype=np.int64)
        padding = np.ones((len(rows), longest), dtype=bool)
        for i, row in enumerate(rows):
            ids[i, longest - len(row) :] = row
            padding[i, longest - len(row) :] = False
        state = Decoding(self.decoder.new_cache(self.max_len))
        mask = torch.from_numpy(padding).to(self.device) if padding.any() else None
        return state, torch.from_numpy(ids).to(self.device), mask

    def decode(self, ids: Tensor, state: Decoding, padding: Tensor | None = None) -> Tensor:
        prefix = None
        if self.task.reads_prefix and not state.cache.length:  # prompts, which are read both ways
            prefix = ids.new_full((len(ids),), ids.shape[1])
        return self.decoder(
            self.embedding(ids), ids=ids, padding=padding, prefix=prefix, cache=state.cache
        )
