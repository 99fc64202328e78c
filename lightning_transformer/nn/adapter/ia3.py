"""adapter=ia3: learned factors of keys, values and inner activations (Liu et al. 2022)."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from lightning_transformer.nn.adapter.base import Adapted, Adapter, attach, targeted
from lightning_transformer.nn.parameter_roles import Role


class OutputFactors(Adapter):
    """l * y, one factor per output channel of the layer, 1 at the start; a bias is scaled too."""

    param_roles: ClassVar[Mapping[str, Role]] = {"factors": Role.FACTOR}

    def __init__(self, width: int) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.ones(width))

    def draw(self, layer: nn.Module, generator: Generator) -> None:
        self.factors.fill_(1.0)

    def forward(self, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return y * self.factors

    def merge(self, layer: nn.Module) -> None:
        assert isinstance(layer, nn.Linear)
        layer.weight.mul_(self.factors[:, None])
        if layer.bias is not None:
            layer.bias.mul_(self.factors)


class InputFactors(Adapter):
    """W (l * x) + bias, one factor per input channel of the layer, 1 at the start."""

    param_roles: ClassVar[Mapping[str, Role]] = {"factors": Role.FACTOR}

    def __init__(self, width: int) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.ones(width))

    def draw(self, layer: nn.Module, generator: Generator) -> None:
        self.factors.fill_(1.0)

    def reads(self, x: Tensor) -> Tensor:
        return x * self.factors

    def merge(self, layer: nn.Module) -> None:
        assert isinstance(layer, nn.Linear)
        layer.weight.mul_(self.factors)


def ia3(
    model: nn.Module,
    *,
    seed: int,
    targets: Sequence[str] = ("k", "v"),
    inner: Sequence[str] = ("down",),
    lr_mult: float = 10.0,
) -> Adapted:
    """Train factors of the outputs of `targets` and of the inputs of `inner`.

    Cost: a parameter and a multiplication per channel; nothing once merged.
    Raises ValueError for targets that match nothing.
    """
    if twice := set(targets) & set(inner):
        raise ValueError(
            f"adapter.inner={sorted(twice)[0]} is in adapter.targets too; name it in one of them"
        )
    outputs = targeted(model, targets)
    inputs = targeted(model, inner) if inner else []
    trained: list[nn.Parameter] = []
    for name, layer in outputs:
        trained += attach(layer, OutputFactors(layer.out_features), seed, name)
    for name, layer in inputs:
        trained += attach(layer, InputFactors(layer.in_features), seed, name)
    return Adapted(trained, lr_mult)
