"""What halving finds and costs: `python -m tests.unit.compare.run.search.simulation`.

Of k contenders the first is better than the baseline and the others by `effect` standard deviations
of a run; n reported seeds. Ranked by other seeds, Holm counts those that are left; ranked by the
reported ones, all contenders. The losses at 1/9 and 1/3 of the budget correlate with the last by .3
and .6, as measured. Costs are in runs of the whole budget, the baseline's included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lightning_transformer.compare.report.inference.statistics import holm, paired_p
from lightning_transformer.compare.run.search.halving import Halving

CORRELATIONS = {1 / 9: 0.3, 1 / 3: 0.6}


class Found(NamedTuple):
    """Shares of comparisons: the better one is found; any other is said to differ. Mean cost."""

    found: float
    false: float
    cost: float


def simulate(k: int, effect: float, n: int, n_ranking: int | None, repeats: int) -> Found:
    """n_ranking: seeds of their own for the ranks; None for the reported ones."""
    generator = np.random.default_rng([k, n, n_ranking or 0, round(10 * effect)])
    halving = Halving(3, k)
    shares = [3.0**-i for i in range(halving.n_rungs, 0, -1)]
    truth = np.zeros(k)
    truth[0] = -effect
    found = false = cost = 0.0
    for _ in range(repeats):
        last = generator.standard_normal((k, n))
        alive, before = list(range(k)), 0.0
        for share in shares:
            early = generator.standard_normal((k, n_ranking or n))
            if n_ranking is None:
                r = min(CORRELATIONS.items(), key=lambda one: abs(one[0] - share))[1]
                early = r * last + np.sqrt(1 - r**2) * early
            cost += len(alive) * early.shape[1] * (share - before)
            losses = {str(v): float(truth[v] + early[v].mean()) for v in alive}
            stopped = halving.stopped_at(losses, dict.fromkeys(losses, 1))
            alive, before = [v for v in alive if str(v) not in stopped], share
        cost += n + len(alive) * n * (1 - before if n_ranking is None else 1)
        d = truth[alive, None] + last[alive] - generator.standard_normal(n)
        p = [paired_p(row) for row in d] + [1.0] * (k - len(alive) if n_ranking is None else 0)
        said = [v for v, one in zip(alive, holm(p), strict=False) if one < 0.05]
        found += 0 in said
        false += any(v != 0 or not effect for v in said)
    return Found(found / repeats, false / repeats, cost / repeats)


def main() -> None:
    print("| contenders | seeds | ranked by | found | false | cost |")
    print("|" + "---:|" * 6)
    for k in (4, 9, 27):
        for n in (5, 8):
            for n_ranking in (None, 2, 3, 5):
                power = simulate(k, 2.0, n, n_ranking, 2000)
                null = simulate(k, 0.0, n, n_ranking, 2000)
                by = "the same" if n_ranking is None else f"{n_ranking} others"
                print(f"| {k} | {n} | {by} | {power.found:.2f} | {null.false:.3f} "
                      f"| {power.cost:.1f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
