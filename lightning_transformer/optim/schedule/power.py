"""Warm-up, then a power of the step, then a straight decay at the end."""

from dataclasses import dataclass

from lightning_transformer.optim.schedule.decay import DecayAtEnd


@dataclass(frozen=True)
class Power(DecayAtEnd):
    """Lower the factor as ``(s / w) ** exponent`` until a straight decay at the end.

    s counts steps from 1 and w are those of the warm-up, so that the factor is 1 where it ends.
    With warmup_steps, what comes before the decay does not depend on the length of the run.

    Source: Shen et al. 2024 (Power scheduler; exponent -0.51 was fitted there). Their rate
    ``a * batch * tokens ** -0.51`` is this factor with optimizer.lr = its value after the warm-up.

    exponent: of the step, below 0. min_ratio is not to be above the factor before the decay.
    """

    least_warmup = 1

    exponent: float = -0.51
    decay_fraction: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (isinstance(self.exponent, float | int) and -10 <= self.exponent < 0):
            raise ValueError(
                f"schedule.exponent={self.exponent!r} must be from -10 to below 0, "
                "for example -0.51"
            )

    def before_decay(self, step: int, total_steps: int) -> float:
        n_steps = self.n_warmup_steps(total_steps)
        if step < n_steps:
            return self.rise(step, total_steps)
        return ((step + 1) / n_steps) ** self.exponent

    def validate(self, total_steps: int) -> None:
        """Refuse a run whose decay would overlap with the warm-up, or rise."""
        super().validate(total_steps)
        before = self.before_decay(self.first_of_decay(total_steps), total_steps)
        if self.min_ratio > before:
            raise ValueError(
                f"schedule.min_ratio={self.min_ratio} is above {before:.3g}, where the decay "
                "begins; try 0.0"
            )
