"""KERPLE, logarithmic (Chi et al. 2022)."""

import torch
from torch import Tensor, nn

from lightning_transformer.nn.position.base import PositionEncoding


class Kerple(PositionEncoding):
    """Kernelised relative bias: score(i, j) -= r_h * log(1 + s_h * |i - j|) (Chi et al. 2022).

    r_h, s_h > 0 are learned per head, as logarithms. They start at r_h = 2^(-8 h / H), the slopes
    of ALiBi, and s_h = 1. Left and right look the same.
    """

    def __init__(self, *, d_model: int, n_heads: int, head_dim: int, max_len: int) -> None:
        super().__init__(d_model=d_model, n_heads=n_heads, head_dim=head_dim, max_len=max_len)
        exponents = torch.arange(1, n_heads + 1) * (-8 / n_heads)
        self.log_r = nn.Parameter(exponents.float() * torch.tensor(2.0).log())
        self.log_s = nn.Parameter(torch.zeros(n_heads))

    def bias(self, queries: Tensor, keys: Tensor) -> Tensor:
        distance = (queries[:, None] - keys[None, :]).abs().float()
        r, s = self.log_r.exp()[:, None, None], self.log_s.exp()[:, None, None]
        return -r * (s * distance).log1p()
