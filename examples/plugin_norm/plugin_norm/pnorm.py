"""The norm that this package adds."""

import math

import torch
from torch import Tensor, nn


class PNorm(nn.Module):
    """Power-mean norm: y = x / (mean(|x|^p) + eps)^(1/p) * weight; p = 2 is RMSNorm.

    Hoffer et al. 2018 tried other powers than 2 in batch norm. The sum is float32 at least.

    Shape: (..., dim) -> (..., dim), same dtype.
    """

    def __init__(self, dim: int, *, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        if not (math.isfinite(p) and p >= 1):  # below 1 the gradient at x = 0 is infinite
            raise ValueError(f"p={p} must be a finite number of at least 1, for example 3.0")
        if not (math.isfinite(eps) and eps > 0):
            raise ValueError(f"eps={eps} must be a positive number, for example 1e-6")
        self.p = p
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        mean = wide.abs().pow(self.p).mean(dim=-1, keepdim=True)
        return (wide * (mean + self.eps).pow(-1 / self.p) * self.weight).to(x.dtype)
