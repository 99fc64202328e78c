"""GLU (Dauphin et al. 2017)."""

from torch import Tensor, nn


class GLU(nn.Module):
    """Gated linear unit: sigmoid(gate) * up (Dauphin et al. 2017).

    Shape: gate and up of one shape -> same.
    """

    n_inputs = 2

    def forward(self, gate: Tensor, up: Tensor) -> Tensor:
        return gate.sigmoid() * up
