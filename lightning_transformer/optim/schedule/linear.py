"""Warm-up, then a straight line down to the end."""

from dataclasses import dataclass

from lightning_transformer.nn import checks
from lightning_transformer.optim.schedule.base import Schedule, progress


@dataclass(frozen=True)
class Linear(Schedule):
    """Lower the factor from 1 to ``min_ratio`` on a straight line after w steps of linear warm-up.

    Source: Devlin et al. 2019; to zero, as Bergsma et al. 2025 recommend.

    min_ratio: factor that is reached after the last step.
    """

    min_ratio: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.closed_fraction("schedule.min_ratio", self.min_ratio, "0.1")

    def __call__(self, step: int, total_steps: int) -> float:
        """Return ``1 - (1 - min_ratio) * (step - w) / (total_steps - w)`` after the warm-up."""
        first = self.n_warmup_steps(total_steps)
        if step < first:
            return self.rise(step, total_steps)
        left = 1.0 - progress(step, first, total_steps)
        return self.min_ratio + (1.0 - self.min_ratio) * left
