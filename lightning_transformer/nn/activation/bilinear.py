"""Bilinear gated unit (Shazeer 2020)."""

from torch import Tensor, nn


class Bilinear(nn.Module):
    """Gated unit without a nonlinearity: gate * up (Mnih & Hinton 2007; Shazeer 2020).

    Shape: gate and up of one shape -> same.
    """

    n_inputs = 2

    def forward(self, gate: Tensor, up: Tensor) -> Tensor:
        return gate * up
