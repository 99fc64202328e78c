"""Warm-up, then a straight line down to the last step."""

from dataclasses import dataclass

from lightning_transformer.nn import checks
from lightning_transformer.optim.schedule.base import Schedule, progress


@dataclass(frozen=True)
class Linear(Schedule):
    """Lower the factor from 1 to ``min_ratio`` on a straight line after a linear warm-up.

    Source: Devlin et al. 2019; to zero, as Bergsma et al. 2025 recommend.

    min_ratio: factor of the very last step.
    """

    min_ratio: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.closed_fraction("schedule.min_ratio", self.min_ratio, "0.1")

    def __call__(self, step: int, total_steps: int) -> float:
        """Return ``1 - (1 - min_ratio) * (step - warmup_steps) / (last - warmup_steps)``."""
        if step < self.warmup_steps:
            return self.warmup(step)
        left = 1.0 - progress(step, self.warmup_steps, total_steps - 1)
        return self.min_ratio + (1.0 - self.min_ratio) * left
