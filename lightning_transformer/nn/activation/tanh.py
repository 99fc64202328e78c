"""Hyperbolic tangent (LeCun et al. 1998)."""

from torch import Tensor, nn


class Tanh(nn.Module):
    """Hyperbolic tangent: tanh(x) (LeCun et al. 1998).

    Shape: any -> same.
    """

    n_inputs = 1

    def forward(self, x: Tensor) -> Tensor:
        return x.tanh()
