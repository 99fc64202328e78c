"""LayerNorm (Ba et al. 2016)."""

from torch import nn

from lightning_transformer.nn import checks


class LayerNorm(nn.LayerNorm):
    """Layer normalisation: y = (x - mean) / sqrt(var + eps) * weight + bias (Ba et al. 2016).

    Shape: (..., dim) -> (..., dim), same dtype.
    """

    def __init__(self, dim: int, *, eps: float = 1e-5, bias: bool = True) -> None:
        checks.positive("eps", eps, 1e-5)
        super().__init__(dim, eps=eps, bias=bias)
