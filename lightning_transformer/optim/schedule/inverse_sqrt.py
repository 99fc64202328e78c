"""Warm-up, then the inverse square root of the steps since, on a time scale of its own."""

import math
from dataclasses import dataclass

from lightning_transformer.nn import checks
from lightning_transformer.optim.schedule.base import Schedule


@dataclass(frozen=True)
class InverseSqrt(Schedule):
    """Lower the factor as ``sqrt(timescale / (timescale + i))``, i steps after the warm-up.

    With warmup_steps it needs no end of training: the factor does not depend on the number of
    steps. With timescale = warmup_steps it is `Noam`, whose decay the length of the warm-up rules.

    Source: Zhai et al. 2022 (reciprocal square root with a time scale), without their cooldown.

    timescale: optimizer steps; 3 * timescale of them after the warm-up the factor is 1/2.
    """

    timescale: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least("schedule.timescale", self.timescale, 1, 1000)

    def __call__(self, step: int, total_steps: int) -> float:
        """Return the warm-up, then ``sqrt(timescale / (timescale + i))``, i from 0 at the peak."""
        n_steps = self.n_warmup_steps(total_steps)
        if step < n_steps:
            return self.rise(step, total_steps)
        since = step - max(0, n_steps - 1)
        return math.sqrt(self.timescale / (self.timescale + since))
