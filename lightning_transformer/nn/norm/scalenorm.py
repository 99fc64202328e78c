"""ScaleNorm."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn import checks


class ScaleNorm(nn.Module):
    """A norm with one learned length: y = scale * x / sqrt(|x|^2 + dim * eps), scale = sqrt(dim) at
    first (Nguyen & Salazar 2019, who clip |x| at eps instead).

    Shape: (..., dim) -> (..., dim), same dtype.
    """

    def __init__(self, dim: int, *, eps: float = 1e-6) -> None:
        checks.positive("eps", eps, 1e-6)
        super().__init__()
        self.shape, self.eps = (dim,), eps
        self.scale = nn.Parameter(torch.full((1,), math.sqrt(dim)))  # FSDP cannot shard a 0-d one

    def forward(self, x: Tensor) -> Tensor:
        per_element = (self.scale / math.sqrt(self.shape[0])).to(x.dtype)
        return F.rms_norm(x, self.shape, eps=self.eps) * per_element
