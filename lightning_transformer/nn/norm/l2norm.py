"""L2 normalisation without learned parameters."""

import math

from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.norm.base import rms_norm


class L2Norm(nn.Module):
    """Every vector gets one length: y = length * x / sqrt(|x|^2 + dim * eps); nothing is learned.

    length=null is sqrt(dim), so that an element is about 1: an rmsnorm without gain, as
    SimpleRMSNorm (Qin et al. 2023, TransNormer) and the query and key norm of Llama 4. length=1
    gives unit vectors, whose products are cosines. Shape: (..., dim) -> (..., dim), same dtype.
    """

    def __init__(self, dim: int, *, length: float | None = None, eps: float = 1e-6) -> None:
        checks.positive("eps", eps, 1e-6)
        if length is not None:
            checks.positive("length", length, 1.0)
        super().__init__()
        self.dim, self.eps = dim, eps
        self.factor = None if length is None else length / math.sqrt(dim)

    def forward(self, x: Tensor) -> Tensor:
        y = rms_norm(x, None, self.eps)
        return y if self.factor is None else y * self.factor
