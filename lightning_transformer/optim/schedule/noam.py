"""The schedule of the first transformer: warm-up, then the inverse square root of the step."""

import math
from dataclasses import dataclass

from lightning_transformer.optim.schedule.base import Schedule


@dataclass(frozen=True)
class Noam(Schedule):
    """Lower the factor as ``1 / sqrt(step)`` after a linear warm-up of w steps.

    Source: Vaswani et al. 2017, scaled so that the peak is 1. Their learning rate is this factor
    with ``optimizer.lr = d_model ** -0.5 * w ** -0.5`` and w = warmup_steps = 4000.
    """

    least_warmup = 1

    def __call__(self, step: int, total_steps: int) -> float:
        """Return ``sqrt(w) * min((step + 1) ** -0.5, (step + 1) * w ** -1.5)``."""
        n_steps = self.n_warmup_steps(total_steps)
        if step < n_steps:
            return self.rise(step, total_steps)
        return math.sqrt(n_steps / (step + 1))
