"""Warm-up, a stable phase, then a straight decay at the end."""

from dataclasses import dataclass

from lightning_transformer.nn import checks
from lightning_transformer.optim.schedule.base import Schedule, progress
from lightning_transformer.optim.schedule.decay import (
    check_decay_fraction,
    check_tail,
    n_decay_steps,
)


@dataclass(frozen=True)
class WSD(Schedule):
    """Hold the factor at 1 after a linear warm-up and decay on a straight line at the end.

    Source: Hu et al. 2024 (warmup-stable-decay), with the linear decay of Hägele et al. 2024.

    Args:
        warmup_steps: optimizer steps of linear warm-up; 0 for none.
        decay_fraction: share of all optimizer steps that the decay takes, above 0.
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
        """Refuse a run in which warm-up and decay would overlap."""
        super().validate(total_steps)
        check_tail(self.warmup_steps, self.decay_fraction, total_steps)

    def __call__(self, step: int, total_steps: int) -> float:
        """Return the warm-up, then 1, then ``1 - (1 - min_ratio) * i / decay_steps``."""
        last_at_peak = total_steps - n_decay_steps(self.decay_fraction, total_steps) - 1
        if step <= last_at_peak:
            return self.warmup(step)
        left = 1.0 - progress(step, last_at_peak, total_steps - 1)
        return self.min_ratio + (1.0 - self.min_ratio) * left
