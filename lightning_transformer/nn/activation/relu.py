"""ReLU (Nair & Hinton 2010)."""

import torch.nn.functional as F
from torch import Tensor, nn


class ReLU(nn.Module):
    """Rectified linear unit: max(x, 0) (Nair & Hinton 2010).

    Shape: any -> same.
    """

    n_inputs = 1

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x)
