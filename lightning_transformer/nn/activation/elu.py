"""ELU (Clevert et al. 2015)."""

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn import checks


class ELU(nn.Module):
    """Exponential linear unit: x if x > 0, else alpha * (exp(x) - 1) (Clevert et al. 2015).

    Shape: any -> same.
    """

    n_inputs = 1

    def __init__(self, *, alpha: float = 1.0) -> None:
        checks.positive("alpha", alpha, 1.0)
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(x, self.alpha)
