"""Dynamic tanh (Zhu et al. 2025)."""

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks


class DyT(nn.Module):
    """Dynamic tanh, a norm without statistics: y = tanh(alpha x) * weight + bias (Zhu et al. 2025).

    alpha is one learned number per layer. Shape: (..., dim) -> (..., dim), same dtype.
    """

    def __init__(self, dim: int, *, alpha: float = 0.5) -> None:
        checks.positive("alpha", alpha, 0.5)
        super().__init__()
        self.alpha = nn.Parameter(torch.full((1,), float(alpha)))  # FSDP cannot shard a 0-d one
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.alpha * x) * self.weight + self.bias
