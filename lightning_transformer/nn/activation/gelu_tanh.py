"""GELU in its tanh approximation (Hendrycks & Gimpel 2016)."""

import torch.nn.functional as F
from torch import Tensor, nn


class GELUTanh(nn.Module):
    """Gaussian error linear unit, approximated (Hendrycks & Gimpel 2016), as in GPT-2 and T5 1.1.

    x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))).

    Shape: any -> same.
    """

    n_inputs = 1

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x, approximate="tanh")
