"""GEGLU with the tanh approximation of GELU (Shazeer 2020)."""

import torch.nn.functional as F
from torch import Tensor, nn


class GEGLUTanh(nn.Module):
    """Gated unit with GELU, approximated: gelu_tanh(gate) * up (Shazeer 2020), as in T5 1.1, Gemma.

    Shape: gate and up of one shape -> same.
    """

    n_inputs = 2

    def forward(self, gate: Tensor, up: Tensor) -> Tensor:
        return F.gelu(gate, approximate="tanh") * up
