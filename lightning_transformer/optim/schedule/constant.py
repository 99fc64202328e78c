"""Warm-up, then a constant learning rate."""

from dataclasses import dataclass

from lightning_transformer.nn import checks
from lightning_transformer.optim.schedule.base import Schedule


@dataclass(frozen=True)
class Constant(Schedule):
    """Keep the factor at 1 after a linear warm-up.

    Args:
        warmup_steps: optimizer steps of linear warm-up; 0 for none.
    """

    warmup_steps: int = 100

    def __post_init__(self) -> None:
        checks.at_least("schedule.warmup_steps", self.warmup_steps, 0, 100)

    def __call__(self, step: int, total_steps: int) -> float:
        """Return ``min(1, (step + 1) / warmup_steps)``."""
        return self.warmup(step)
