"""LayerNorm (Ba et al. 2016)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn import checks


class LayerNorm(nn.LayerNorm):
    """Layer normalisation: y = (x - mean) / sqrt(var + eps) * weight + bias (Ba et al. 2016).

    Shape: (..., dim) -> (..., dim), same dtype.
    """

    def __init__(self, dim: int, *, eps: float = 1e-5, bias: bool = True) -> None:
        checks.positive("eps", eps, 1e-5)
        super().__init__(dim, eps=eps, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32 or self.weight.dtype == torch.float32:
            return super().forward(x)
        # Weights that are gathered in 16 bits, under autocast: on a CPU torch has no kernel.
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.layer_norm(x, self.normalized_shape, self.weight.to(x.dtype), bias, self.eps)
