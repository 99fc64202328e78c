"""L2 normalisation with a gain that learns at a rate of its own (nGPT)."""

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.scaled_vector import ScaledVector


class ScaledL2Norm(nn.Module):
    """y = s * sqrt(dim) * x / sqrt(|x|^2 + dim * eps), s learned from 1 (Loshchilov et al. 2024).

    It computes what an RMSNorm does; its gain s is a `ScaledVector` of the given scale. As a norm
    of queries and keys its scores are sqrt(dim) times the cosine of both, at first. The paper has
    one s for queries and keys of each head, and applies it after the rotation; here queries and
    keys have one each for all heads, before it, as with any qk_norm.

    scale: > 0; null = 1 / sqrt(dim), where the paper takes 1 / sqrt(d_model).
    Shape: (..., dim) -> (..., dim), same dtype.
    """

    def __init__(self, dim: int, *, scale: float | None = None, eps: float = 1e-6) -> None:
        checks.positive("eps", eps, 1e-6)
        if scale is not None:
            checks.positive("scale", scale, 0.1)
        super().__init__()
        self.shape, self.eps = (dim,), eps
        self.gain = ScaledVector(dim, start=1.0, scale=dim**-0.5 if scale is None else scale)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.shape, eps=self.eps) * self.gain().to(x.dtype)
