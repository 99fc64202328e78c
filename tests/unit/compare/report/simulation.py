"""How often a comparison errs, and finds: `python -m tests.unit.compare.report.simulation`.

Metrics are a seed's share, common to all variants, and noise of its own: y_vs = sqrt(rho) b_s +
sqrt(1 - rho) e_vs, both standard normal, so that rho is the correlation of two variants.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lightning_transformer.compare.report.inference.statistics import Effect, effects

REPEATS = 2000


class Rates(NamedTuple):
    """Shares of repetitions.

    single: of comparisons of equal variants with p < 0.05. family: with any p_holm < 0.05 in the
    table. covered: of 95 % intervals that hold the true difference. found: in which the one variant
    that differs has p_holm < 0.05. equal: in which it was called equal.
    """

    single: float
    family: float
    covered: float
    found: float
    equal: float


class Case(NamedTuple):
    """k rows and n seeds; the second row differs by effect; how much more noise two rows have."""

    k: int
    n: int
    rho: float = 0.5
    effect: float = 0.0
    last: float = 1.0
    baseline: float = 1.0


def tables(case: Case, repeats: int) -> np.ndarray:
    """(repeats, k, n)"""
    k, n, rho, effect, last, baseline = case
    generator = np.random.default_rng([round(100 * number) for number in case])
    shared = generator.standard_normal((repeats, 1, n))
    own = generator.standard_normal((repeats, k, n))
    own[:, -1] *= last
    own[:, 0] *= baseline
    y = np.sqrt(rho) * shared + np.sqrt(1 - rho) * own
    y[:, 1] += effect
    return y


def simulate(case: Case, margin: float = 0.0, repeats: int = REPEATS) -> Rates:
    found = [effects(y, margin=margin) for y in tables(case, repeats)]
    effect = case.effect
    true = [row[0 if not effect else 1 :] for row in found]  # those that do not differ
    flat = [e for row in true for e in row]
    return Rates(
        single=_share(e.p < 0.05 for e in flat),
        family=_share(any(e.p_holm < 0.05 for e in row) for row in true),
        covered=_share(_covers(e, 0.0 if v else effect) for r in found for v, e in enumerate(r)),
        found=_share(row[0].p_holm < 0.05 for row in found),
        equal=_share(row[0].verdict == "equal" for row in found),
    )


def _covers(effect: Effect, truth: float) -> bool:
    return effect.low <= truth <= effect.high


def _share(hits) -> float:
    found = list(hits)
    return float(np.mean(found)) if found else float("nan")


def main() -> None:
    print("| k | n | rho | noise | p < .05 | family | coverage | power |")
    print("|" + "---:|" * 8)
    for noise in ({}, {"last": 5.0}, {"baseline": 2.0}, {"baseline": 5.0}):
        said = ", ".join(f"{who} {times:g} x" for who, times in noise.items()) or "equal"
        for k in (2, 3, 6):
            for n in (3, 5, 8):
                for rho in (0.0, 0.5, 0.9):
                    null = simulate(Case(k, n, rho, **noise))
                    power = simulate(Case(k, n, rho, effect=2.0, **noise)).found
                    cells = (null.single, null.family, null.covered, power)
                    text = " | ".join(f"{cell:.3f}" for cell in cells)
                    print(f"| {k} | {n} | {rho} | {said} | {text} |", flush=True)


if __name__ == "__main__":
    main()
