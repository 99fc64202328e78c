"""Softplus (Dugas et al. 2001)."""

import torch.nn.functional as F
from torch import Tensor, nn


class Softplus(nn.Module):
    """Smooth rectifier: log(1 + exp(x)) (Dugas et al. 2001).

    Shape: any -> same.
    """

    n_inputs = 1

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(x)
