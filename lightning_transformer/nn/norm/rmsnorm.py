from torch import nn

from lightning_transformer.nn import checks


class RMSNorm(nn.RMSNorm):
    """Root-mean-square norm: y = x / sqrt(mean(x^2) + eps) * weight (Zhang & Sennrich 2019).

    Shape: (..., dim) -> (..., dim), same dtype.
    """

    def __init__(self, dim: int, *, eps: float = 1e-6) -> None:
        checks.positive("eps", eps, 1e-6)
        super().__init__(dim, eps=eps)
