"""RMSNorm (Zhang & Sennrich 2019)."""

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.norm.base import rms_norm


class RMSNorm(nn.RMSNorm):
    """Root-mean-square norm: y = x / sqrt(mean(x^2) + eps) * gain (Zhang & Sennrich 2019).

    The gain is weight, which starts at 1; with unit_offset it is 1 + weight, which starts at 0
    (Gemma team 2024): a decay of norm weights then pulls the gain to 1, and low precision keeps
    small steps near 1. Shape: (..., dim) -> (..., dim), same dtype.
    """

    def __init__(self, dim: int, *, eps: float = 1e-6, unit_offset: bool = False) -> None:
        checks.positive("eps", eps, 1e-6)
        super().__init__(dim, eps=eps)
        self.unit_offset = unit_offset
        if unit_offset:
            nn.init.zeros_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        assert self.eps is not None
        if not self.unit_offset:
            return rms_norm(x, self.weight, self.eps)
        # 1 + weight is not exact in bfloat16.
        wide = torch.promote_types(x.dtype, torch.float32)
        return rms_norm(x, self.weight.to(wide) + 1, self.eps)
