"""Embedding followed by a norm (Dettmers et al. 2021)."""

from torch import Tensor, nn

from lightning_transformer.nn.embedding.base import look_up
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.types import NormFactory


class NormedEmbedding(nn.Embedding):
    """One learned vector per token, then a norm (Dettmers et al. 2021; Le Scao et al. 2022, BLOOM).

    Positions, where they are added, are added after it. A tied head skips the norm.
    Shape: (B, T) -> (B, T, D).
    """

    def __init__(self, vocab_size: int, d_model: int, *, norm: NormFactory) -> None:
        super().__init__(vocab_size, d_model)
        self.norm = norm(d_model)
        if isinstance(self.norm, NoNorm):
            raise ValueError("norm=none leaves embedding=normed nothing to do; use embedding=plain")

    def forward(self, ids: Tensor) -> Tensor:
        y = self.norm(look_up(self, ids))
        assert isinstance(y, Tensor)
        return y
