"""adapter=bottleneck: small feed-forward layers behind each sublayer (Houlsby et al. 2019)."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.adapter.base import (
    Adapted,
    Adapter,
    attach,
    draw_uniform,
    targeted,
)


class Bottleneck(Adapter):
    """y + up(gelu(down(y))), with up = 0 at the start.

    Shape: y (..., D); down (width, D), up (D, width), with biases.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(dim, width), nn.Linear(width, dim)

    def draw(self, layer: nn.Module, generator: Generator) -> None:
        draw_uniform(self.down.weight, generator)
        for parameter in (self.down.bias, self.up.weight, self.up.bias):
            parameter.zero_()

    def forward(self, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        inner: Tensor = self.up(torch.nn.functional.gelu(self.down(y)))
        return y + inner


def bottleneck(
    model: nn.Module,
    *,
    seed: int,
    width: int = 64,
    targets: Sequence[str] = ("out", "down"),
    lr_mult: float = 10.0,
) -> Adapted:
    """Train a bottleneck behind every layer of `targets`.

    Cost: width (2 d_out + 1) + d_out parameters and 4 width d_out FLOPs per token and layer,
    forward; it cannot be merged.
    Raises ValueError for targets that match nothing.
    """
    checks.at_least("width", width, 1)
    trained: list[nn.Parameter] = []
    for name, layer in targeted(model, targets):
        trained += attach(layer, Bottleneck(layer.out_features, width), seed, name)
    return Adapted(trained, lr_mult)
