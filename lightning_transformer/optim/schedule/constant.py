"""Warm-up, then a constant learning rate."""

from dataclasses import dataclass

from lightning_transformer.optim.schedule.base import Schedule


@dataclass(frozen=True)
class Constant(Schedule):
    """Keep the factor at 1 after a linear warm-up of w steps."""

    def __call__(self, step: int, total_steps: int) -> float:
        """Return ``min(1, (step + 1) / w)``."""
        return self.rise(step, total_steps)
