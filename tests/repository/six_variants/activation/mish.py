"""Mish (Misra 2019)."""

import torch.nn.functional as F
from torch import Tensor, nn


class Mish(nn.Module):
    """Self-regularised gate: x * tanh(log(1 + exp(x))) (Misra 2019).

    Shape: any -> same.
    """

    n_inputs = 1

    def forward(self, x: Tensor) -> Tensor:
        return F.mish(x)
