"""LpNorm: a norm with any exponent."""

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks


class LpNorm(nn.Module):
    """Divide by the p-th power mean: y = weight * x / ((mean |x|^p)^(1/p) + eps); p = 2 is RMSNorm.

    Shape: (..., dim) -> (..., dim), same dtype.
    """

    def __init__(self, dim: int, *, p: float = 3.0, eps: float = 1e-6) -> None:
        checks.number_from("p", p, 1, 3)
        checks.positive("eps", eps, 1e-6)
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.p, self.eps, self.root = float(p), eps, dim ** (1 / p)

    def forward(self, x: Tensor) -> Tensor:
        size = torch.linalg.vector_norm(x, self.p, dim=-1, keepdim=True) / self.root
        return x / (size + self.eps) * self.weight.to(x.dtype)
