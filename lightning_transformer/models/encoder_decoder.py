"""model=encoder_decoder (Vaswani et al. 2017)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_transformer.models.base import Transformer
from lightning_transformer.nn import checks
from lightning_transformer.nn.cache import Decoding
from lightning_transformer.nn.stack import MAX_LAYERS
from lightning_transformer.tasks.base import Batch, pad, pad_mask


class EncoderDecoder(Transformer):
    """An encoder reads the source; a causal decoder attends to it (Vaswani et al. 2017).

    Source and target share one vocabulary and, unless share_embeddings is false, one embedding.
    Together with the task's tie_embeddings (output and target) these are the four ways of tying
    that Narang et al. 2021 compare.
    """

    causal = True
    has_source = True

    def __init__(
        self,
        *,
        n_encoder_layers: int = 2,
        n_decoder_layers: int = 2,
        share_embeddings: bool = True,
        **shared: Any,
    ) -> None:
        checks.between("n_encoder_layers", n_encoder_layers, 1, MAX_LAYERS)
        checks.between("n_decoder_layers", n_decoder_layers, 1, MAX_LAYERS)
        super().__init__(**shared)
        # None, not the shared one: its weights would have a second name.
        self.source_embedding: nn.Embedding | None = None
        if not share_embeddings:
            self.source_embedding = shared["embedding"](
                shared["vocabulary"].size, shared["d_model"]
            )
        self.encoder = self.stack(
            n_layers=n_encoder_layers, causal=False, n_readers=n_decoder_layers
        )
        self.decoder = self.stack(n_layers=n_decoder_layers, causal=True, cross=True)
        self.finish()

    def encode(self, source_ids: Tensor, source_padding: Tensor | None) -> Tensor:
        """(B, S) -> (B, S, D)."""
        embedding = self.embedding if self.source_embedding is None else self.source_embedding
        return self.encoder(embedding(source_ids), ids=source_ids, padding=source_padding)

    def features(self, batch: Batch) -> Tensor:
        assert batch.source_ids is not None
        memory = self.encode(batch.source_ids, batch.source_padding)
        return self.decoder(
            self.embedding(batch.input_ids),
            ids=batch.input_ids,
            padding=batch.padding,
            memory=memory,
            memory_padding=batch.source_padding,
        )

    def begin(self, rows: Sequence[np.ndarray]) -> tuple[Decoding, Tensor, Tensor | None]:
        """Read the sources; the decoder starts from BOS."""
        vocabulary = self.task.vocabulary
        source = pad(rows, vocabulary.pad_id).to(self.device)
        padding = pad_mask(rows)
        padding = None if padding is None else padding.to(self.device)
        cache = self.decoder.new_cache(self.max_len, source.shape[1])
        state = Decoding(cache, self.encode(source, padding), padding)
        start = torch.full((len(rows), 1), vocabulary.bos_id, device=self.device)
        return state, start, None

    def decode(self, ids: Tensor, state: Decoding, padding: Tensor | None = None) -> Tensor:
        return self.decoder(
            self.embedding(ids),
            ids=ids,
            padding=padding,
            memory=state.memory,
            memory_padding=state.memory_padding,
            cache=state.cache,
        )
