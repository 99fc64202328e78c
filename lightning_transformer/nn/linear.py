"""Linear layers with a class per role, by which initialisers and optimizers choose their rule."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.parameter_roles import Role
from lightning_transformer.nn.scaled_vector import ScaledVector


class ResidualOut(nn.Linear):
    """A linear layer whose output is added to the residual stream."""


class QueryKey(nn.Linear):
    """A linear layer that makes queries or keys: its output is compared, not passed on."""


class FewOutputs(nn.Linear):
    """A linear layer with an output per head or expert, such as a router, a step size or a decay.

    Each row is by itself, and Muon, whose updates make rows orthogonal to each other, leaves it
    out.
    """

    param_roles: ClassVar[Mapping[str, Role]] = {"weight": Role.WEIGHT}


class HeadGate(nn.Linear):
    """A linear layer that makes one gate per head, which weight decay would pull to 1 / 2."""

    param_roles: ClassVar[Mapping[str, Role]] = {"weight": Role.FACTOR}


class Head(nn.Linear):
    """The last linear layer: features to scores over a vocabulary or over classes.

    With softcap c a score z becomes c * tanh(z / c), within (-c, c), in float32 at least (Gemma
    team 2024, Gemma 2), in training, evaluation and generation alike.

    With score_scale scores are multiplied by s_i / sqrt(D) first, s learned per token or class from
    score_scale (a `ScaledVector` of scale 1 / sqrt(D)): cosines times s, where features have the
    length sqrt(D) and weights the length 1 (Loshchilov et al. 2024, nGPT: 1).

    multiplier: of the features; set by init=mup, which scales scores by base_width / d_model.

    Shape: (..., D) -> (..., V).
    """

    param_roles: ClassVar[Mapping[str, Role]] = {"weight": Role.WEIGHT}

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        softcap: float | None = None,
        score_scale: float | None = None,
    ) -> None:
        if softcap is not None:
            checks.positive("softcap", softcap, 30.0)
        if score_scale is not None:
            checks.positive("score_scale", score_scale, 1.0)
        super().__init__(in_features, out_features, bias=bias)
        # A whole number may be larger than torch takes.
        self.softcap = None if softcap is None else float(softcap)
        self.score_scale: ScaledVector | None = None
        if score_scale is not None:
            root = in_features**-0.5
            self.score_scale = ScaledVector(out_features, start=score_scale * root, scale=root)
        self.multiplier = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return self.finish(super().forward(self.inputs(x)))

    def inputs(self, x: Tensor) -> Tensor:
        """Features (..., D) as they are multiplied with the weight."""
        return x if self.multiplier == 1.0 else x * self.multiplier

    def finish(self, products: Tensor) -> Tensor:
        """Scores (..., V) from products of inputs and weight, with the bias."""
        scores = products
        if self.score_scale is not None:
            scores = scores * self.score_scale()
        if self.softcap is None:
            return scores
        wide = scores.to(torch.promote_types(scores.dtype, torch.float32))
        return self.softcap * torch.tanh(wide / self.softcap)
