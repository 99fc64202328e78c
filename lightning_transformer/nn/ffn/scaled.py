"""Feed-forward layer whose hidden units have learned scales (nGPT)."""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.ffn.dense import Dense


class ScaledDense(Dense):
    """down(activation(s_1 * up_1(x), s_2 * up_2(x))), s learned per hidden unit, from `start`.

    With activation=swiglu and start=1 these are s_v and s_u of nGPT (Loshchilov et al. 2024), whose
    factor sqrt(D) is the length of x here. Otherwise as `Dense`.

    Shape: (B, T, D) -> (B, T, D).
    """

    def __init__(self, dim: int, *, start: float = 1.0, **dense: Any) -> None:
        super().__init__(dim, **dense)
        checks.positive("start", start, 1.0)
        hidden = self.down.in_features
        self.scales = nn.ParameterList(torch.full((hidden,), start) for _ in self.up)

    def inputs(self, x: Tensor) -> list[Tensor]:
        return [(s * y).to(y.dtype) for s, y in zip(self.scales, super().inputs(x), strict=True)]
