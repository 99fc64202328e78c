"""SiLU, also called Swish (Elfwing et al. 2017)."""

import torch.nn.functional as F
from torch import Tensor, nn


class SiLU(nn.Module):
    """Sigmoid linear unit, also called Swish: x * sigmoid(x) (Elfwing et al. 2017).

    Shape: any -> same.
    """

    n_inputs = 1

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x)
