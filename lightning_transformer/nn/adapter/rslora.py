"""adapter=rslora: low-rank updates whose size does not fall with the rank (Kalajdzievski 2023)."""

from collections.abc import Sequence

from torch import nn

from lightning_transformer.nn.adapter.base import Adapted
from lightning_transformer.nn.adapter.lora import add_low_rank, check_size


def rslora(
    model: nn.Module,
    *,
    seed: int,
    rank: int = 8,
    alpha: float = 16.0,
    dropout: float = 0.0,
    targets: Sequence[str] = ("q", "v"),
    lr_mult: float = 10.0,
) -> Adapted:
    """Train y = W x + (alpha / sqrt(rank)) B A x beside frozen weights W.

    Cost and errors are those of adapter=lora.
    """
    check_size(rank, alpha)
    trained = add_low_rank(model, seed, rank, alpha / rank**0.5, dropout, targets)
    return Adapted(trained, lr_mult)
