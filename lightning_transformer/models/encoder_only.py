"""model=encoder_only (Devlin et al. 2019)."""

from typing import Any

from torch import Tensor

from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.base import Batch


class EncoderOnly(Transformer):
    """Every position sees both sides (Devlin et al. 2019, BERT)."""

    causal = False

    def __init__(self, *, n_layers: int = 4, **shared: Any) -> None:
        super().__init__(**shared)
        self.encoder = self.stack(n_layers=n_layers, causal=False)
        self.finish()

    def features(self, batch: Batch) -> Tensor:
        ids = batch.input_ids
        x = self.embedding(ids)
        return self.encoder(x, ids=ids, padding=batch.padding, documents=batch.documents)
