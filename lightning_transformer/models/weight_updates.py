"""How the weights of one run are updated, beyond its optimizer: rates, and what stands still."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_transformer.distributed.unit_norm import normalise_
from lightning_transformer.optim.freeze.base import StandStill
from lightning_transformer.optim.optimizers.schedule_free import ScheduleFreeAdamW

Rates = Callable[[nn.Module], dict[int, float]]


@dataclass
class WeightUpdates:
    """What a run sets on its model, and a model alone does without.

    rates: gives factors of single parameters' learning rates, by their id. lr_mult: of all learning
    rates. stand_still: which parameters wait before they are trained.
    """

    rates: Rates | None = None
    lr_mult: float = 1.0
    stand_still: StandStill | None = None

    def on(self, optimizer: Optimizer, unit_weights: Sequence[tuple[Tensor, int]]) -> Optimizer:
        """Multiply the optimizer's rates, and keep weights at length 1 after its steps."""
        for group in optimizer.param_groups:
            group["lr"] *= self.lr_mult
        keep_unit_norm(optimizer, unit_weights)
        return optimizer

    def hold_still(self, step: int) -> None:
        """Take away, before a step (from 0), the gradients of what does not move in it yet.

        Without a gradient an optimizer neither moves nor decays a weight, and keeps no state of it.
        """
        if self.stand_still is not None:
            for parameter in self.stand_still(step):
                parameter.grad = None


def keep_unit_norm(optimizer: Optimizer, weights: Sequence[tuple[Tensor, int]]) -> None:
    """Bring vectors of length 1 along a dimension back to it after each step of the optimizer.

    A weight without a gradient is left alone, so that not a bit of it changes.
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
            if weight.grad is not None:
                normalise_(weight, dim)

    optimizer.register_step_post_hook(normalise)
