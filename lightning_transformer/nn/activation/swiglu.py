"""SwiGLU (Shazeer 2020)."""

import torch.nn.functional as F
from torch import Tensor, nn


class SwiGLU(nn.Module):
    """Gated unit with SiLU: silu(gate) * up (Shazeer 2020).

    Shape: gate and up of one shape -> same.
    """

    n_inputs = 2

    def forward(self, gate: Tensor, up: Tensor) -> Tensor:
        return F.silu(gate) * up
