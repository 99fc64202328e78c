"""Plain embedding."""

from torch import nn


class PlainEmbedding(nn.Embedding):
    """One learned vector per token. Shape: (B, T) -> (B, T, D)."""

    def __init__(self, vocab_size: int, d_model: int) -> None:
        super().__init__(vocab_size, d_model)
