"""GELU (Hendrycks & Gimpel 2016)."""

import torch.nn.functional as F
from torch import Tensor, nn


class GELU(nn.Module):
    """Gaussian error linear unit: x * Phi(x), exact form (Hendrycks & Gimpel 2016).

    Shape: any -> same.
    """

    n_inputs = 1

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x)
