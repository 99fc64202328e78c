"""Successive halving (Jamieson and Talwalkar 2016): which variants get reported runs at all.

The contenders run with ranking seeds of their own, which are never reported, and pause at 1/f^2 and
1/f of the budget; only the best 1/f continue. What is reported of those that are left is from
other seeds: they are not better for having been picked, and Holm counts them alone.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lightning_transformer.compare.report.comparison import EarlyStop
from lightning_transformer.compare.run.variants import Variant


@dataclass(frozen=True)
class Halving:
    """Which variants continue at a rung, a step at which all ranking runs pause.

    All runs follow the schedule of the whole budget; a rung only interrupts them.

    Attributes:
        factor: the best 1 / factor continue; None for no rungs.
        n_contenders: variants that can be stopped, which are all but the baseline and its placebo.
    """

    factor: int | None
    n_contenders: int

    @property
    def n_rungs(self) -> int:
        """Rungs: two where one does not bring the contenders down to one."""
        return 2 if self.factor and self.n_contenders > self.factor else 1

    def val_every(self, variant: Variant) -> int:
        """Steps between the validations of ranking runs: as configured, or up to the first rung."""
        if self.factor is None:
            return variant.val_every
        return max(1, min(variant.val_every, variant.steps // self.factor**self.n_rungs))

    def rungs(self, variant: Variant) -> list[int]:
        """Steps at which ranking runs pause, multiples of val_every, ascending."""
        if self.factor is None:
            return []
        every = self.val_every(variant)
        parts = [variant.steps / self.factor**k for k in range(self.n_rungs, 0, -1)]
        found = {max(1, round(part / every)) * every for part in parts}
        return sorted(step for step in found if step < variant.steps)

    def n_kept(self, n: int) -> int:
        """How many of n contenders a rung lets go on."""
        return math.ceil(n / self.factor) if self.factor else n

    def stopped_at(
        self, losses: Mapping[str, float], steps: Mapping[str, int]
    ) -> dict[str, EarlyStop]:
        """The contenders that a rung at these steps stops, by label.

        losses: mean validation loss over the seeds, infinite if one diverged. The best
        ceil(n / factor) continue; a tie goes to the first.
        """
        ranked = sorted(losses, key=lambda label: losses[label])
        n_kept = self.n_kept(len(ranked))
        limit = losses[ranked[n_kept - 1]]
        found = {}
        for rank, label in enumerate(ranked[n_kept:], start=n_kept + 1):
            loss = losses[label]
            what = f"val/loss {loss:.4f}" if math.isfinite(loss) else "diverged or failed"
            found[label] = EarlyStop(
                steps[label],
                f"{what} at step {steps[label]} is rank {rank} of {len(ranked)}; "
                f"{n_kept} went on, the last of them with {limit:.4f}",
            )
        return found
