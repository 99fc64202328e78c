"""Warm-up, a stable phase, then a decay by one minus the square root of the way."""

import math
from dataclasses import dataclass

from lightning_transformer.optim.schedule.decay import DecayAtEnd


@dataclass(frozen=True)
class OneMinusSqrt(DecayAtEnd):
    """Hold the factor at 1 after a linear warm-up and cool down by ``1 - sqrt(u)`` at the end.

    ``min_ratio + (1 - min_ratio) * (1 - sqrt(u))``, where u goes from 0 to 1 over the cooldown: it
    falls fast at first, and slowly where it is small.

    Source: Hägele et al. 2024, eq. 1 with their (1-sqrt) cooldown of 20 % of the steps.
    """

    def left(self, u: float) -> float:
        return 1.0 - math.sqrt(u)
