"""Turn a schedule into the scheduler object that torch and Lightning step."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lightning_transformer.optim.schedule.base import Schedule
from lightning_transformer.optim.schedule.constant import Constant


def check_pair(optimizer: Optimizer, schedule: Schedule) -> None:
    """Refuse a falling schedule for an optimizer that replaces it.

    Such an optimizer sets ``needs_constant_schedule = True``.
    """
    if getattr(optimizer, "needs_constant_schedule", False) and not isinstance(schedule, Constant):
        raise ValueError(
            f"{type(optimizer).__name__} averages the weights in place of a falling rate, which "
            f"{type(schedule).__name__} is; use schedule=constant (it has a warm-up) or "
            "optimizer=adamw"
        )


def lambda_lr(optimizer: Optimizer, schedule: Schedule, total_steps: int) -> LambdaLR:
    """Let the lr of every group be its initial lr times ``schedule(step, total_steps)``.

    Step the result once per optimizer step; in Lightning that is ``interval: step``.
    Raises ValueError when the schedule does not fit in ``total_steps`` or to the optimizer.
    """
    schedule.validate(total_steps)
    check_pair(optimizer, schedule)
    # a lambda, not a callable object: torch then keeps it out of the state dict, which stays
    # plain numbers and loads with weights_only=True
    return LambdaLR(optimizer, lambda step: schedule(step, total_steps))
