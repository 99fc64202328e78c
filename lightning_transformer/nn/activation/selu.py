"""SELU (Klambauer et al. 2017)."""

import torch.nn.functional as F
from torch import Tensor, nn


class SELU(nn.Module):
    """Scaled exponential linear unit: scale * (x if x > 0 else alpha * (exp(x) - 1)).

    scale = 1.0507 and alpha = 1.6733 keep mean 0 and variance 1 from layer to layer (Klambauer et
    al. 2017).

    Shape: any -> same.
    """

    n_inputs = 1

    def forward(self, x: Tensor) -> Tensor:
        return F.selu(x)
