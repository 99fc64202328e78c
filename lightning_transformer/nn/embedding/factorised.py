"""Factorised embedding (Lan et al. 2019, ALBERT)."""

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.embedding.base import look_up
from lightning_transformer.nn.linear import Head


class FactorisedEmbedding(nn.Embedding):
    """A narrow table and one linear layer for all tokens: E U^T (Lan et al. 2019, ALBERT).

    E is (V, rank), U is (D, rank): rank (V + D) parameters in place of V D. A tied head goes back
    through both: x U E^T. Shape: (B, T) -> (B, T, D).
    """

    def __init__(self, vocab_size: int, d_model: int, *, rank: int = 64) -> None:
        checks.at_least("rank", rank, 1)
        super().__init__(vocab_size, rank)
        self.embedding_dim = d_model  # that of what it gives
        self.up = nn.Linear(rank, d_model, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        y = self.up(look_up(self, ids))
        assert isinstance(y, Tensor)
        return y

    def tied_head(self, *, bias: bool, softcap: float | None) -> Head:
        """The output layer that shares both factors."""
        return _FactorisedHead(self, bias=bias, softcap=softcap)


class _FactorisedHead(Head):
    def __init__(self, table: FactorisedEmbedding, *, bias: bool, softcap: float | None) -> None:
        vocab_size, rank = table.weight.shape
        super().__init__(rank, vocab_size, bias=bias, softcap=softcap)
        self.weight, self.up = table.weight, table.up

    def inputs(self, x: Tensor) -> Tensor:
        return super().inputs(F.linear(x, self.up.weight.t()))
