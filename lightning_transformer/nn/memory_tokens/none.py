"""No memory tokens."""

import torch
from torch import Tensor

from lightning_transformer.nn.memory_tokens.base import MemoryTokens


class NoMemoryTokens(MemoryTokens):
    """A stack reads the tokens of a row alone."""

    n_tokens = 0

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self) -> Tensor:
        return torch.empty(0, self.dim)
