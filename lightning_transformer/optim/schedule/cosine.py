"""Warm-up, then half a cosine down to the end."""

import math
from dataclasses import dataclass

from lightning_transformer.nn import checks
from lightning_transformer.optim.schedule.base import Schedule, progress


@dataclass(frozen=True)
class Cosine(Schedule):
    """Lower the factor from 1 to ``min_ratio`` along half a cosine after a linear warm-up.

    Source: Loshchilov and Hutter 2017, without restarts; min_ratio 0.1 as in Brown et al. 2020.

    min_ratio: factor that is reached after the last step.
    """

    min_ratio: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.closed_fraction("schedule.min_ratio", self.min_ratio, "0.1")

    def __call__(self, step: int, total_steps: int) -> float:
        """Return ``min_ratio + (1 - min_ratio) * (1 + cos(pi * r)) / 2``, r from 0 to below 1."""
        first = self.n_warmup_steps(total_steps)
        if step < first:
            return self.rise(step, total_steps)
        r = progress(step, first, total_steps)
        return self.min_ratio + (1.0 - self.min_ratio) * 0.5 * (1.0 + math.cos(math.pi * r))
