"""adapter=lora: low-rank updates of linear layers (Hu et al. 2022)."""

from collections.abc import Sequence

from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.adapter.base import (
    Adapted,
    Adapter,
    attach,
    draw_uniform,
    targeted,
)


class LowRank(Adapter):
    """y + scale B A dropout(x), with A ~ U(-1/sqrt(d_in), 1/sqrt(d_in)) and B = 0 at the start.

    Shape: x (..., d_in), y (..., d_out); A (rank, d_in), B (d_out, rank).
    """

    def __init__(self, d_in: int, d_out: int, rank: int, scale: float, dropout: float) -> None:
        super().__init__()
        self.a = nn.Linear(d_in, rank, bias=False)
        self.b = nn.Linear(rank, d_out, bias=False)
        self.scale, self.dropout = scale, nn.Dropout(dropout)

    def draw(self, layer: nn.Module, generator: Generator) -> None:
        draw_uniform(self.a.weight, generator)
        self.b.weight.zero_()

    def forward(self, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return y + self.b(self.a(self.dropout(x))) * self.scale

    def merge(self, layer: nn.Module) -> None:
        assert isinstance(layer, nn.Linear)
        layer.weight.add_(self.update())

    def update(self) -> Tensor:
        """(d_out, d_in), the change of the layer's weight."""
        return self.scale * (self.b.weight @ self.a.weight)


def lora(
    model: nn.Module,
    *,
    seed: int,
    rank: int = 8,
    alpha: float = 16.0,
    dropout: float = 0.0,
    targets: Sequence[str] = ("q", "v"),
    lr_mult: float = 10.0,
) -> Adapted:
    """Train y = W x + (alpha / rank) B A x beside frozen weights W.

    Cost: rank (d_in + d_out) parameters and 2 rank (d_in + d_out) FLOPs per token and layer,
    forward; none of them once merged.

    Raises ValueError for a rank above the width of a layer, and for targets that match nothing.
    """
    check_size(rank, alpha)
    trained = add_low_rank(model, seed, rank, alpha / rank, dropout, targets)
    return Adapted(trained, lr_mult)


def check_size(rank: int, alpha: float) -> None:
    """Refuse a rank below 1 and an alpha that is not positive; ValueError."""
    checks.at_least("rank", rank, 1)
    checks.positive("alpha", alpha, 16.0)


def add_low_rank(
    model: nn.Module,
    seed: int,
    rank: int,
    scale: float,
    dropout: float,
    targets: Sequence[str],
    kind: type[LowRank] = LowRank,
) -> list[nn.Parameter]:
    """Put low-rank updates of one kind beside the targeted layers; their parameters."""
    checks.fraction("dropout", dropout)
    trained: list[nn.Parameter] = []
    for name, layer in targeted(model, targets):
        most = min(layer.in_features, layer.out_features)
        if rank > most:
            raise ValueError(
                f"adapter.rank={rank} is above the width {most} of {name}, which has no more to "
                f"learn; at most adapter.rank={most}"
            )
        low_rank = kind(layer.in_features, layer.out_features, rank, scale, dropout)
        trained += attach(layer, low_rank, seed, name)
    return trained
