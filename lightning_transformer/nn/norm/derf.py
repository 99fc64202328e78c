"""Dynamic erf."""

import math

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks


class Derf(nn.Module):
    """Dynamic erf, a norm without statistics: y = erf(alpha x + shift) * weight + bias.

    alpha and shift are one learned number each per layer (Chen et al. 2025, arXiv 2512.10938; the
    start values are those of the authors' code). Shape: (..., dim) -> (..., dim), same dtype.
    """

    def __init__(self, dim: int, *, alpha: float = 0.5, shift: float = 0.0) -> None:
        checks.positive("alpha", alpha, 0.5)
        if not math.isfinite(shift):
            raise ValueError(f"shift={shift} must be a finite number, for example 0.0")
        super().__init__()
        self.alpha = nn.Parameter(torch.full((1,), float(alpha)))  # FSDP cannot shard a 0-d one
        self.shift = nn.Parameter(torch.full((1,), float(shift)))
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        return torch.erf(self.alpha * x + self.shift) * self.weight + self.bias
