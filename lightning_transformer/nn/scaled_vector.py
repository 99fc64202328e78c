"""A learned vector that moves by more, or less, than an optimizer's step."""

import torch
from torch import Tensor, nn


class ScaledVector(nn.Module):
    """v = weight * start / scale, weight from `scale`, so v from `start` (Loshchilov et al. 2024).

    An optimizer of Adam's kind moves weight by about its learning rate, and so v by that times
    start / scale. Shape: () -> (size,).
    """

    def __init__(self, size: int, *, start: float, scale: float) -> None:
        super().__init__()
        self.factor = start / scale
        self.weight = nn.Parameter(torch.full((size,), scale))

    def forward(self) -> Tensor:
        return self.weight * self.factor
