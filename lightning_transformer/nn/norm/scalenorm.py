"""ScaleNorm."""

import math

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.norm.base import rms_norm


class ScaleNorm(nn.Module):
    """A norm with one learned length: y = scale * x / sqrt(|x|^2 + dim * eps), scale = sqrt(dim) at
    first (Nguyen & Salazar 2019, who clip |x| at eps instead).

    Shape: (..., dim) -> (..., dim), same dtype.
    """

    def __init__(self, dim: int, *, eps: float = 1e-6) -> None:
        checks.positive("eps", eps, 1e-6)
        super().__init__()
        self.dim, self.eps = dim, eps
        self.scale = nn.Parameter(torch.full((1,), math.sqrt(dim)))  # FSDP cannot shard a 0-d one

    def forward(self, x: Tensor) -> Tensor:
        per_element = (self.scale / math.sqrt(self.dim)).to(x.dtype)
        return rms_norm(x, None, self.eps) * per_element
