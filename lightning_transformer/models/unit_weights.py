"""Weights that keep length 1 through training (init=unit_norm)."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from lightning_transformer.distributed.unit_norm import normalise_
from lightning_transformer.optim.optimizers.schedule_free import ScheduleFreeAdamW


def keep_unit_norm(optimizer: Optimizer, weights: Sequence[tuple[Tensor, int]]) -> None:
    """Bring vectors of length 1 along a dimension back to it after each step of the optimizer.

    Raises ValueError for an optimizer that computes weights from copies of its own.
    """
    if not weights:
        return
    if isinstance(optimizer, ScheduleFreeAdamW):
        raise ValueError(
            "optimizer=schedule_free computes weights from an average, and init=unit_norm would "
            "change them behind its back; use optimizer=adamw"
        )

    def normalise(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        for weight, dim in weights:
            normalise_(weight, dim)

    optimizer.register_step_post_hook(normalise)
