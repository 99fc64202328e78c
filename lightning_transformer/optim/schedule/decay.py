"""The final decay of a run, for schedules that define it as a fraction of all steps."""

from dataclasses import dataclass

from lightning_transformer.nn import checks
from lightning_transformer.optim.schedule.base import Schedule, progress


@dataclass(frozen=True)
class DecayAtEnd(Schedule):
    """A schedule whose last steps lower the factor to ``min_ratio``, in a straight line by default.

    decay_fraction: share of all optimizer steps that the decay takes, above 0. min_ratio: factor of
    the very last step.
    """

    decay_fraction: float = 0.2
    min_ratio: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        example = type(self).decay_fraction
        checks.positive("schedule.decay_fraction", self.decay_fraction, example)
        checks.closed_fraction("schedule.decay_fraction", self.decay_fraction, example)
        checks.closed_fraction("schedule.min_ratio", self.min_ratio, "0.0")

    def before_decay(self, step: int) -> float:
        """Return the factor of a step before the decay: the warm-up, then 1."""
        return self.warmup(step)

    def left(self, u: float) -> float:
        """Return the share of the way to min_ratio that is left at u, from 0 to 1 in the decay."""
        return 1.0 - u

    def last_before_decay(self, total_steps: int) -> int:
        """Return the last step before the decay, which takes at least one step."""
        return total_steps - self._n_decay_steps(total_steps) - 1

    def validate(self, total_steps: int) -> None:
        """Refuse also a run in which warm-up and decay would overlap."""
        super().validate(total_steps)
        decay = self._n_decay_steps(total_steps)
        if self.warmup_steps + decay > total_steps:
            raise ValueError(
                f"schedule.warmup_steps={self.warmup_steps} and the {decay} steps of "
                f"schedule.decay_fraction={self.decay_fraction} exceed "
                f"trainer.max_steps={total_steps}; try warmup_steps={total_steps - decay}"
            )

    def __call__(self, step: int, total_steps: int) -> float:
        last = self.last_before_decay(total_steps)
        if step <= last:
            return self.before_decay(step)
        left = self.left(progress(step, last, total_steps - 1))
        return self.min_ratio + (self.before_decay(last) - self.min_ratio) * left

    def _n_decay_steps(self, total_steps: int) -> int:
        return max(1, round(self.decay_fraction * total_steps))
