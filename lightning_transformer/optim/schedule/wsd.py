"""Warm-up, a stable phase, then a straight decay at the end."""

from dataclasses import dataclass

from lightning_transformer.optim.checks import check_count, check_fraction, check_positive
from lightning_transformer.optim.schedule.base import Schedule, progress


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
        check_count("schedule.warmup_steps", self.warmup_steps, 0, "100")
        check_positive("schedule.decay_fraction", self.decay_fraction, "0.2")
        check_fraction("schedule.decay_fraction", self.decay_fraction, "0.2")
        check_fraction("schedule.min_ratio", self.min_ratio, "0.0")

    def decay_steps(self, total_steps: int) -> int:
        """Return how many of the last optimizer steps have a factor below 1."""
        return max(1, round(self.decay_fraction * total_steps))

    def validate(self, total_steps: int) -> None:
        """Refuse a run in which warm-up and decay would overlap."""
        super().validate(total_steps)
        decay = self.decay_steps(total_steps)
        if self.warmup_steps + decay > total_steps:
            raise ValueError(
                f"schedule.warmup_steps={self.warmup_steps} and the {decay} steps of "
                f"schedule.decay_fraction={self.decay_fraction} exceed "
                f"trainer.max_steps={total_steps}; try warmup_steps={total_steps - decay}"
            )

    def __call__(self, step: int, total_steps: int) -> float:
        """Return the warm-up, then 1, then ``1 - (1 - min_ratio) * i / decay_steps``."""
        last_at_peak = total_steps - self.decay_steps(total_steps) - 1
        if step <= last_at_peak:
            return self.warmup(step)
        left = 1.0 - progress(step, last_at_peak, total_steps - 1)
        return self.min_ratio + (1.0 - self.min_ratio) * left
