"""adapter=dora: low-rank updates of the direction of weights, lengths apart (Liu et al. 2024)."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from lightning_transformer.nn.adapter.base import Adapted
from lightning_transformer.nn.adapter.lora import LowRank, add_low_rank, check_size


class Decomposed(LowRank):
    """m (W x + scale B A dropout(x)) / |W + scale B A| + bias, row by row.

    m starts as the lengths |W| of the rows, so that the output is unchanged. No gradient goes
    through the divisor (Liu et al. 2024, section 4.3).
    """

    def __init__(self, d_in: int, d_out: int, rank: int, scale: float, dropout: float) -> None:
        super().__init__(d_in, d_out, rank, scale, dropout)
        self.length = nn.Parameter(torch.ones(d_out))

    def draw(self, layer: nn.Module, generator: Generator) -> None:
        assert isinstance(layer, nn.Linear)
        super().draw(layer, generator)
        self.length.copy_(layer.weight.norm(dim=1))

    def forward(self, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        assert isinstance(layer, nn.Linear)
        bias = layer.bias
        y = y if bias is None else y - bias
        y = (y + self.b(self.a(self.dropout(x))) * self.scale) * self._factor(layer)
        return y if bias is None else y + bias

    def merge(self, layer: nn.Module) -> None:
        assert isinstance(layer, nn.Linear)
        factor = self._factor(layer)
        layer.weight.copy_((layer.weight + self.update()) * factor[:, None])

    def _factor(self, layer: nn.Linear) -> Tensor:
        """(d_out,), how much longer rows become."""
        with torch.no_grad():
            lengths = (layer.weight + self.update()).norm(dim=1)
        return self.length / lengths


def dora(
    model: nn.Module,
    *,
    seed: int,
    rank: int = 8,
    alpha: float = 16.0,
    dropout: float = 0.0,
    targets: Sequence[str] = ("q", "v"),
    lr_mult: float = 10.0,
) -> Adapted:
    """Train lengths m and directions W + (alpha / rank) B A of rows apart.

    Cost: that of adapter=lora, d_out more parameters per layer, and once per step and layer
    2 rank d_in d_out FLOPs for the lengths; none of them once merged.
    Errors are those of adapter=lora.
    """
    check_size(rank, alpha)
    trained = add_low_rank(model, seed, rank, alpha / rank, dropout, targets, Decomposed)
    return Adapted(trained, lr_mult)
