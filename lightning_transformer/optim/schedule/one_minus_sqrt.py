"""Warm-up, a stable phase, then a decay by one minus the square root of the way."""

import math
from dataclasses import dataclass

from lightning_transformer.nn import checks
from lightning_transformer.optim.schedule.base import Schedule, progress
from lightning_transformer.optim.schedule.decay import (
    check_decay_fraction,
    check_tail,
    n_decay_steps,
)


@dataclass(frozen=True)
class OneMinusSqrt(Schedule):
    """Hold the factor at 1 after a linear warm-up and cool down by ``1 - sqrt(u)`` at the end.

    u goes from 0 to 1 over the cooldown: it falls fast at first, and slowly where it is small.

    Source: Hägele et al. 2024, eq. 1 with their (1-sqrt) cooldown of 20 % of the steps.

    Args:
        warmup_steps: optimizer steps of linear warm-up; 0 for none.
        decay_fraction: share of all optimizer steps that the cooldown takes, above 0.
        min_ratio: factor of the very last step.
    """

    warmup_steps: int = 100
    decay_fraction: float = 0.2
    min_ratio: float = 0.0

    def __post_init__(self) -> None:
        checks.at_least("schedule.warmup_steps", self.warmup_steps, 0, 100)
        check_decay_fraction(self.decay_fraction, "0.2")
        checks.closed_fraction("schedule.min_ratio", self.min_ratio, "0.0")

    def validate(self, total_steps: int) -> None:
        """Refuse a run in which warm-up and cooldown would overlap."""
        super().validate(total_steps)
        check_tail(self.warmup_steps, self.decay_fraction, total_steps)

    def __call__(self, step: int, total_steps: int) -> float:
        """Return the warm-up, 1, then ``min_ratio + (1 - min_ratio) * (1 - sqrt(u))``."""
        last_at_peak = total_steps - n_decay_steps(self.decay_fraction, total_steps) - 1
        if step <= last_at_peak:
            return self.warmup(step)
        left = 1.0 - math.sqrt(progress(step, last_at_peak, total_steps - 1))
        return self.min_ratio + (1.0 - self.min_ratio) * left
