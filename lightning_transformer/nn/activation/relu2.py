"""Squared ReLU (So et al. 2021)."""

import torch.nn.functional as F
from torch import Tensor, nn


class ReLU2(nn.Module):
    """Squared rectified linear unit: max(x, 0)^2 (So et al. 2021, Primer).

    Shape: any -> same.
    """

    n_inputs = 1

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x).square()
