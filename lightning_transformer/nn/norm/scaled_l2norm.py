"""L2 normalisation with a gain that learns at a rate of its own (nGPT)."""

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.norm.base import rms_norm


class ScaledL2Norm(nn.Module):
    """y = s * sqrt(dim) * x / sqrt(|x|^2 + dim * eps), s learned from 1 (Loshchilov et al. 2024).

    It computes what an RMSNorm does; its gain s is weight / scale and moves by that much more. As a
    norm of queries and keys it makes scores sqrt(dim) times the cosine of both, at first. The paper
    has one s for queries and keys of each head, and applies it after the rotation; here queries and
    keys have one each for all heads, before it, as with any qk_norm.

    scale: > 0; null = 1 / sqrt(dim), where the paper takes 1 / sqrt(d_model).
    Shape: (..., dim) -> (..., dim), same dtype.
    """

    def __init__(self, dim: int, *, scale: float | None = None, eps: float = 1e-6) -> None:
        checks.positive("eps", eps, 1e-6)
        if scale is not None:
            checks.positive("scale", scale, 0.1)
        super().__init__()
        self.dim, self.eps = dim, eps
        # Not a module below it: torch replicates the parameters of a norm by their names in it.
        scale = dim**-0.5 if scale is None else scale
        self.weight, self.factor = nn.Parameter(torch.full((dim,), scale)), 1 / scale

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, None, self.eps) * (self.weight * self.factor).to(x.dtype)
