"""Post-norm (Vaswani et al. 2017)."""

from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import NormFactory, Sublayer


class PostNorm(Residual):
    """norm(x + f(x)): the original order; deep stacks need warm-up to train.

        x --+-- f -- dropout --+-- norm -- (Vaswani et al. 2017)
            +------------------+

    Shape: (B, T, D) -> (B, T, D).
    """

    needs_final_norm = False

    def __init__(self, dim: int, *, norm: NormFactory, dropout: float = 0.0) -> None:
        super().__init__()
        checks.fraction("dropout", dropout)
        self.norm, self.dropout = norm(dim), nn.Dropout(dropout)

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        return self.norm(x + self.dropout(f(x)))
