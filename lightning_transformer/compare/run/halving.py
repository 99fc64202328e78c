"""Successive halving: which variants go on at a rung (Jamieson and Talwalkar 2016).

At 1/f^2 and 1/f of the budget the best 1/f of the variants go on. All runs follow the schedule of
the whole budget; a rung only interrupts them.
"""

import math
from collections.abc import Mapping


def n_rungs(n_contenders: int, factor: int) -> int:
    """Rungs before the end: two where more contend than one rung brings down to one."""
    return 2 if n_contenders > factor else 1


def rungs(steps: int, val_every: int, factor: int, n: int) -> list[int | None]:
    """The steps at which runs pause, multiples of val_every, ascending; then None for the end."""
    parts = [steps / factor**k for k in range(n, 0, -1)]
    found = {max(1, round(part / val_every)) * val_every for part in parts}
    return [*sorted(step for step in found if step < steps), None]


def val_every(steps: int, configured: int, factor: int, n: int) -> int:
    """Steps between validations: as configured, or less where the first rung comes before."""
    return max(1, min(configured, steps // factor**n))


def stopped_at(losses: Mapping[str, float], step: Mapping[str, int], factor: int) -> dict[str, str]:
    """The contenders that do not go on, each with the reason.

    losses: mean validation loss over the seeds, infinite if one diverged. The best
    ceil(n / factor) go on; a tie goes to who stands first.
    """
    ranked = sorted(losses, key=lambda label: losses[label])
    n_kept = math.ceil(len(ranked) / factor)
    limit = losses[ranked[n_kept - 1]]
    reasons = {}
    for rank, label in enumerate(ranked[n_kept:], start=n_kept + 1):
        loss = losses[label]
        what = f"val/loss {loss:.4f}" if math.isfinite(loss) else "diverged or failed"
        reasons[label] = (
            f"{what} at step {step[label]} is rank {rank} of {len(ranked)}; "
            f"{n_kept} went on, the last of them with {limit:.4f}"
        )
    return reasons
