"""Plain embedding."""

from torch import Tensor, nn

from lightning_transformer.nn.embedding.base import look_up


class PlainEmbedding(nn.Embedding):
    """One learned vector per token. Shape: (B, T) -> (B, T, D)."""

    def __init__(self, vocab_size: int, d_model: int) -> None:
        super().__init__(vocab_size, d_model)

    def forward(self, ids: Tensor) -> Tensor:
        return look_up(self, ids)
