"""The contract of a learning-rate schedule."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from lightning_transformer.nn import checks


@dataclass(frozen=True)
class Schedule(ABC):
    """A pure function from the optimizer step to a factor of every group's lr.

    Steps are optimizer steps counted from 0, so the last one is ``total_steps - 1``. The factor
    rises by ``(step + 1) / warmup_steps`` during the first ``warmup_steps`` steps and peaks at 1.

    warmup_steps: optimizer steps of linear warm-up, from ``least_warmup`` on; 0 for none.
    """

    least_warmup: ClassVar[int] = 0

    warmup_steps: int = 100

    def __post_init__(self) -> None:
        checks.at_least("schedule.warmup_steps", self.warmup_steps, self.least_warmup, 100)

    @abstractmethod
    def __call__(self, step: int, total_steps: int) -> float:
        """Return the factor of optimizer step ``step`` in a run of ``total_steps``."""

    def validate(self, total_steps: int) -> None:
        """Raise ValueError when the warm-up takes the complete run, so that lr would never peak."""
        checks.at_least("trainer.max_steps", total_steps, 1, 1000)
        if self.warmup_steps >= total_steps:
            raise ValueError(
                f"schedule.warmup_steps={self.warmup_steps} must be below "
                f"trainer.max_steps={total_steps}; try {total_steps // 10}"
            )

    def warmup(self, step: int) -> float:
        """Return the factor of the linear warm-up, 1 from its last step on."""
        return min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0


def progress(step: int, first: int, last: int) -> float:
    """Return how far ``step`` is on the way from ``first`` (0.0) to ``last`` (1.0), clamped."""
    if step >= last:
        return 1.0
    return max(0.0, (step - first) / (last - first))
