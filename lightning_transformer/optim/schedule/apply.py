"""A schedule as the scheduler object that torch and Lightning step."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lightning_transformer.optim.schedule.base import Schedule


def lambda_lr(optimizer: Optimizer, schedule: Schedule, total_steps: int) -> LambdaLR:
    """Let the lr of every group be its initial lr times ``schedule(step, total_steps)``.

    Step the result once per optimizer step; in Lightning that is ``interval: step``.

    Raises:
        ValueError: when the schedule does not fit in ``total_steps``.
    """
    schedule.validate(total_steps)
    # a lambda, not a callable object: torch then keeps it out of the state dict, which stays
    # plain numbers and loads with weights_only=True
    return LambdaLR(optimizer, lambda step: schedule(step, total_steps))
