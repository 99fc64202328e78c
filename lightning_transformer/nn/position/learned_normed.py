"""Learned absolute positions followed by a norm (Devlin et al. 2019)."""

from torch import Tensor

from lightning_transformer.nn.position.learned import Learned
from lightning_transformer.nn.types import NormFactory


class LearnedNormed(Learned):
    """Learned positions, then a norm of tokens and positions together (Devlin et al. 2019, BERT).

    Knows max_len positions and no more; longer rows are a ValueError.
    """

    def __init__(
        self, *, d_model: int, n_heads: int, head_dim: int, max_len: int, norm: NormFactory
    ) -> None:
        super().__init__(d_model=d_model, n_heads=n_heads, head_dim=head_dim, max_len=max_len)
        self.norm = norm(d_model)

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        y = self.norm(super().embed(x, positions))
        assert isinstance(y, Tensor)
        return y
