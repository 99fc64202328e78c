"""Post-norm (Vaswani et al. 2017)."""

from torch import Tensor

from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import Sublayer


class PostNorm(Residual):
    """norm(x + f(x)): the original order; deep stacks need warm-up to train.

        x --+-- f -- dropout --+-- norm -- (Vaswani et al. 2017)
            +------------------+

    Shape: (B, T, D) -> (B, T, D).
    """

    needs_final_norm = False

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        return self.norm(x + self.dropout(f(x)))
