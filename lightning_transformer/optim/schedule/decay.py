"""The final decay of a run, for schedules that define it as a fraction of all steps."""

from dataclasses import dataclass

from lightning_transformer.nn import checks
from lightning_transformer.optim.schedule.base import Schedule, progress


@dataclass(frozen=True)
class DecayAtEnd(Schedule):
    """A schedule whose last steps lower the factor to ``min_ratio``, in a straight line by default.

    decay_fraction: share of all optimizer steps that the decay takes, above 0; where rounding makes
    it meet a warm-up that is a share too, it takes fewer. min_ratio: factor that is reached after
    the last step.
    """

    decay_fraction: float = 0.2
    min_ratio: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        example = type(self).decay_fraction
        checks.positive("schedule.decay_fraction", self.decay_fraction, example)
        checks.closed_fraction("schedule.decay_fraction", self.decay_fraction, example)
        checks.closed_fraction("schedule.min_ratio", self.min_ratio, "0.0")

    def before_decay(self, step: int, total_steps: int) -> float:
        """Return the factor of a step before the decay: the warm-up, then 1."""
        return self.rise(step, total_steps)

    def left(self, u: float) -> float:
        """Return the share of the way to min_ratio that is left at u, from 0 to 1 in the decay."""
        return 1.0 - u

    def first_of_decay(self, total_steps: int) -> int:
        """Return the step that the decay starts from, whose factor it still leaves as it is."""
        n_before = total_steps - round(self.decay_fraction * total_steps)
        return max(n_before, self.n_warmup_steps(total_steps))

    def validate(self, total_steps: int) -> None:
        """Refuse also a run in which warm-up and decay would overlap."""
        super().validate(total_steps)
        decay = round(self.decay_fraction * total_steps)
        if self.warmup_steps is not None and self.warmup_steps + decay > total_steps:
            raise ValueError(
                f"schedule.warmup_steps={self.warmup_steps} and the {decay} steps of "
                f"schedule.decay_fraction={self.decay_fraction} exceed "
                f"trainer.max_steps={total_steps}; {self._way_out(total_steps, decay)}"
            )
        left = round(1.0 - self.decay_fraction, 6)
        if self.warmup_steps is None and self.warmup > left:
            raise ValueError(
                f"schedule.warmup={self.warmup} and schedule.decay_fraction={self.decay_fraction} "
                f"are together above 1; try schedule.warmup={left}"
            )

    def _way_out(self, total_steps: int, decay: int) -> str:
        if total_steps - decay >= self.least_warmup:
            return f"try schedule.warmup_steps={total_steps - decay}"
        assert self.warmup_steps is not None
        left = (total_steps - self.warmup_steps) / total_steps
        return f"try schedule.decay_fraction={left}"

    def __call__(self, step: int, total_steps: int) -> float:
        first = self.first_of_decay(total_steps)
        if step < first:
            return self.before_decay(step, total_steps)
        left = self.left(progress(step, first, total_steps))
        return self.min_ratio + (self.before_decay(first, total_steps) - self.min_ratio) * left
