"""Linear layers with a class per role, by which initialisers choose their rule."""

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks


class ResidualOut(nn.Linear):
    """A linear layer whose output is added to the residual stream."""


class QueryKey(nn.Linear):
    """A linear layer that makes queries or keys: its output is compared, not passed on."""


class Head(nn.Linear):
    """The last linear layer: features to scores over a vocabulary or over classes.

    With softcap c a score z becomes c * tanh(z / c), within (-c, c), in float32 at least (Gemma
    team 2024, Gemma 2), in training, evaluation and generation alike.

    multiplier: of the features; set by init=mup, which scales scores by base_width / d_model.

    Shape: (..., D) -> (..., V).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        softcap: float | None = None,
    ) -> None:
        if softcap is not None:
            checks.positive("softcap", softcap, 30.0)
        super().__init__(in_features, out_features, bias=bias)
        # A whole number may be larger than torch takes.
        self.softcap = None if softcap is None else float(softcap)
        self.multiplier = 1.0

    def forward(self, x: Tensor) -> Tensor:
        if self.multiplier != 1.0:
            x = x * self.multiplier
        scores = super().forward(x)
        if self.softcap is None:
            return scores
        wide = scores.to(torch.promote_types(scores.dtype, torch.float32))
        return self.softcap * torch.tanh(wide / self.softcap)
