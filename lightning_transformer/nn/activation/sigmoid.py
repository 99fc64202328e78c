"""The logistic function."""

from torch import Tensor, nn


class Sigmoid(nn.Module):
    """Logistic function: 1 / (1 + exp(-x)).

    Shape: any -> same.
    """

    n_inputs = 1

    def forward(self, x: Tensor) -> Tensor:
        return x.sigmoid()
