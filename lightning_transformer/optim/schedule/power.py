"""Warm-up, then a power of the step, then a straight decay at the end."""

from dataclasses import dataclass

from lightning_transformer.nn import checks
from lightning_transformer.optim.schedule.base import Schedule, progress
from lightning_transformer.optim.schedule.decay import (
    check_decay_fraction,
    check_tail,
    n_decay_steps,
)


@dataclass(frozen=True)
class Power(Schedule):
    """Lower the factor as ``(s / warmup_steps) ** exponent`` until a straight decay at the end.

    s counts steps from 1, so that the factor is 1 where the warm-up ends. What comes before the
    decay does not depend on the length of the run.

    Source: Shen et al. 2024 (Power scheduler; exponent -0.51 was fitted there). Their rate
    ``a * batch * tokens ** -0.51`` is this factor with optimizer.lr = its value after the warm-up.

    Args:
        warmup_steps: optimizer steps of linear warm-up, at least 1.
        exponent: of the step, below 0.
        decay_fraction: share of all optimizer steps that the final decay takes, above 0.
        min_ratio: factor of the very last step, not above that of the step before the decay.
    """

    warmup_steps: int = 100
    exponent: float = -0.51
    decay_fraction: float = 0.1
    min_ratio: float = 0.0

    def __post_init__(self) -> None:
        checks.at_least("schedule.warmup_steps", self.warmup_steps, 1, 100)
        if not (isinstance(self.exponent, float | int) and -10 <= self.exponent < 0):
            raise ValueError(
                f"schedule.exponent={self.exponent!r} must be from -10 to below 0, "
                "for example -0.51"
            )
        check_decay_fraction(self.decay_fraction, "0.1")
        checks.closed_fraction("schedule.min_ratio", self.min_ratio, "0.0")

    def validate(self, total_steps: int) -> None:
        """Refuse a run whose decay would overlap with the warm-up, or rise."""
        super().validate(total_steps)
        check_tail(self.warmup_steps, self.decay_fraction, total_steps)
        before = self._power(self._last_before_decay(total_steps))
        if self.min_ratio > before:
            raise ValueError(
                f"schedule.min_ratio={self.min_ratio} is above {before:.3g}, where the decay "
                "begins; try 0.0"
            )

    def __call__(self, step: int, total_steps: int) -> float:
        """Return the warm-up, then ``(s / warmup_steps) ** exponent``, then the straight line."""
        last = self._last_before_decay(total_steps)
        if step <= last:
            return self._power(step)
        left = 1.0 - progress(step, last, total_steps - 1)
        return self.min_ratio + (self._power(last) - self.min_ratio) * left

    def _last_before_decay(self, total_steps: int) -> int:
        return total_steps - n_decay_steps(self.decay_fraction, total_steps) - 1

    def _power(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.warmup(step)
        return ((step + 1) / self.warmup_steps) ** self.exponent
