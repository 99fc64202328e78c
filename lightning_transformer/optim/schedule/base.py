"""The contract of a learning-rate schedule."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from lightning_transformer.nn import checks


@dataclass(frozen=True)
class Schedule(ABC):
    """A pure function from the optimizer step to a factor of every group's lr.

    Steps are optimizer steps counted from 0, so the last one is ``total_steps - 1``. The factor
    rises by ``(step + 1) / w`` during the first w steps, the warm-up, and peaks at 1. It is above 0
    at every step, so that each one trains: a decay to 0 arrives there after the last step.

    warmup: share of all steps that are warm-up, from 0 to below 1; in a run too short for it the
    warm-up has the ``least_warmup`` steps. warmup_steps: its number of steps, in place of the
    share, from ``least_warmup`` on; 0 for none.
    """

    least_warmup: ClassVar[int] = 0

    warmup: float = 0.125
    warmup_steps: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.warmup, int | float) and self.warmup >= 1:
            raise ValueError(
                f"schedule.warmup={self.warmup!r} is a share of all steps, at least 0 and below 1, "
                "for example 0.125; a number of steps is schedule.warmup_steps"
            )
        checks.fraction("schedule.warmup", self.warmup, 0.125)
        if self.warmup_steps is not None:
            checks.at_least("schedule.warmup_steps", self.warmup_steps, self.least_warmup, 100)

    @abstractmethod
    def __call__(self, step: int, total_steps: int) -> float:
        """Return the factor of optimizer step ``step`` in a run of ``total_steps``."""

    def validate(self, total_steps: int) -> None:
        """Raise ValueError when the warm-up takes the complete run, so that lr would never peak."""
        checks.at_least("trainer.max_steps", total_steps, 1, 1000)
        if self.warmup_steps is not None and self.warmup_steps >= total_steps:
            example = max(self.least_warmup, total_steps // 10)
            proposed = example if example < total_steps else "null"
            raise ValueError(
                f"schedule.warmup_steps={self.warmup_steps} must be below "
                f"trainer.max_steps={total_steps}; try {proposed}"
            )

    def n_warmup_steps(self, total_steps: int) -> int:
        """Return the optimizer steps of warm-up in a run of ``total_steps``."""
        if self.warmup_steps is not None:
            return self.warmup_steps
        share = min(round(self.warmup * total_steps), total_steps - 1)
        return max(self.least_warmup, share)

    def rise(self, step: int, total_steps: int) -> float:
        """Return the factor of the linear warm-up, 1 from its last step on."""
        n_steps = self.n_warmup_steps(total_steps)
        return min(1.0, (step + 1) / n_steps) if n_steps else 1.0


def progress(step: int, first: int, end: int) -> float:
    """Return how far ``step`` is on the way from ``first`` (0.0) to ``end`` (1.0), clamped.

    ``end`` is the number of steps of the run, one more than its last step, which so is below 1.
    """
    if step >= end:
        return 1.0
    return max(0.0, (step - first) / (end - first))
