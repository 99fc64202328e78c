"""ALiBi (Press et al. 2022)."""

import torch
from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.position.base import PositionEncoding


class ALiBi(PositionEncoding):
    """Attention with linear biases (Press et al. 2022): score(i, j) -= slope_h * |i - j|.

    Slopes are 2^(-8 h / H) for H a power of two; otherwise those of the next lower power of two are
    filled up with every second slope of the next higher one, as the paper's code does. Keys to the
    right of the query, which only a bidirectional model has, count future_ratio times their
    distance: with 1.0 left and right look the same and the model cannot see order.
    """

    exponents: Tensor

    def __init__(
        self,
        *,
        d_model: int,
        n_heads: int,
        head_dim: int,
        max_len: int,
        future_ratio: float = 0.5,
    ) -> None:
        super().__init__(d_model=d_model, n_heads=n_heads, head_dim=head_dim, max_len=max_len)
        checks.positive("future_ratio", future_ratio, 0.5)
        self.future_ratio = future_ratio
        # Not the slopes: `.bfloat16()` on the model rounds a buffer, and these stay exact.
        self.register_buffer("exponents", torch.tensor(_exponents(n_heads)), persistent=False)

    def bias(self, queries: Tensor, keys: Tensor) -> Tensor:
        distance = (queries[:, None] - keys[None, :]).float()
        distance = torch.where(distance < 0, -self.future_ratio * distance, distance)
        return -self.exponents.float().exp2()[:, None, None] * distance


def _exponents(n_heads: int) -> list[float]:
    lower = 2 ** (n_heads.bit_length() - 1)
    exponents = [-8 * h / lower for h in range(1, lower + 1)]
    return exponents + [-8 * h / (2 * lower) for h in range(1, 2 * lower, 2)][: n_heads - lower]
