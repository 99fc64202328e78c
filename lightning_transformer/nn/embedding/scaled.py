"""Embedding scaled by sqrt(d_model) (Vaswani et al. 2017)."""

from torch import Tensor, nn

from lightning_transformer.nn.embedding.base import look_up


class ScaledEmbedding(nn.Embedding):
    """One learned vector per token, times sqrt(d_model) (Vaswani et al. 2017, section 3.4).

    The factor lets a table that is tied to the output, and so small, still count beside the
    position encoding. Shape: (B, T) -> (B, T, D).
    """

    def __init__(self, vocab_size: int, d_model: int) -> None:
        super().__init__(vocab_size, d_model)
        self.scale = d_model**0.5

    def forward(self, ids: Tensor) -> Tensor:
        return look_up(self, ids) * self.scale
