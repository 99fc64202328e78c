"""Learned absolute positions (Gehring et al. 2017)."""

from torch import Tensor, nn

from lightning_transformer.nn.embedding.base import look_up
from lightning_transformer.nn.position.base import PositionEncoding


class Learned(PositionEncoding):
    """One learned vector per position, added to the token embeddings (Gehring et al. 2017).

    Knows max_len positions and no more; longer rows are a ValueError.
    """

    def __init__(self, *, d_model: int, n_heads: int, head_dim: int, max_len: int) -> None:
        super().__init__(d_model=d_model, n_heads=n_heads, head_dim=head_dim, max_len=max_len)
        self.table = nn.Embedding(max_len, d_model)

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        if x.shape[1] > self.table.num_embeddings:
            raise ValueError(
                f"{x.shape[1]} tokens in a row, but position=learned has "
                f"{self.table.num_embeddings} positions; train with a larger data.seq_len or "
                "use position=rope"
            )
        return x + look_up(self.table, positions)
