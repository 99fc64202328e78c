"""Causal depthwise convolution over the last few tokens."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.init.base import Init, StackInfo
from lightning_transformer.nn.parameter_roles import Role
from lightning_transformer.nn.recurrent.base import RecurrentCache, RowOrder


class ShortConvolution(nn.Module):
    """Depthwise convolution over the last tokens: y_t = sum_j weight_j x_{t-j} (+ bias), j < size.

    What lies before the row, or in another document, counts as 0. Weights start uniform in
    +-1 / sqrt(size), as in torch's convolutions; the bias starts at 0.
    Shape: (B, T, C) -> same.
    """

    param_roles: ClassVar[Mapping[str, Role]] = {"weight": Role.WEIGHT}
    per_channel = True

    def __init__(self, channels: int, *, size: int, bias: bool) -> None:
        super().__init__()
        checks.at_least("conv_size", size, 1)
        self.size = size
        self.weight = nn.Parameter(torch.zeros(channels, size))  # the newest token's is the last
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def init_weights(self, scheme: Init, info: StackInfo, generator: Generator) -> None:
        bound = self.size**-0.5
        drawn = torch.empty(self.weight.shape).uniform_(-bound, bound, generator=generator)
        self.weight.copy_(drawn)
        if self.bias is not None:
            self.bias.zero_()

    def forward(self, x: Tensor, row: RowOrder, past: RecurrentCache) -> Tensor:
        n_tokens, n_before = x.shape[1], self.size - 1
        before = x.new_zeros(x.shape[0], n_before, x.shape[2]) if past.tail is None else past.tail
        known = torch.cat((before, x), dim=1)
        past.tail = self._last(known, row)
        y = known[:, n_before:] * self.weight[:, -1].to(x.dtype)
        for back in range(1, self.size):
            shifted = known[:, n_before - back : n_before - back + n_tokens]
            if row.documents is not None:
                same = row.documents[:, back:] == row.documents[:, :-back]
                shifted = shifted * F.pad(same, (min(back, n_tokens), 0))[..., None]
            y = y + shifted * self.weight[:, -1 - back].to(x.dtype)
        return y if self.bias is None else y + self.bias.to(x.dtype)

    def _last(self, known: Tensor, row: RowOrder) -> Tensor:
        """The inputs that the next token needs, without the pads, which come last."""
        n_before = self.size - 1
        if row.real is None:
            return known[:, known.shape[1] - n_before :]
        places = row.real.sum(dim=1, keepdim=True) + torch.arange(n_before, device=known.device)
        return known.gather(1, places[..., None].expand(-1, -1, known.shape[2]))
