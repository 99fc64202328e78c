"""How often a comparison errs and how often it finds: `python -m tests.compare.simulation`.

Metrics are a seed's share, common to all variants, and noise of its own: y_vs = sqrt(rho) b_s +
sqrt(1 - rho) e_vs, both standard normal, so that rho is the correlation of two variants.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lightning_transformer.compare.statistics import Effect, effects

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


def tables(k: int, n: int, rho: float, effect: float, noisy: float, repeats: int) -> np.ndarray:
    """(repeats, k, n); the second row differs by effect, the last one's noise is noisy times."""
    generator = np.random.default_rng([k, n, int(100 * rho), int(100 * effect), int(noisy)])
    shared = generator.standard_normal((repeats, 1, n))
    own = generator.standard_normal((repeats, k, n))
    own[:, -1] *= noisy
    y = np.sqrt(rho) * shared + np.sqrt(1 - rho) * own
    y[:, 1] += effect
    return y


def simulate(
    k: int,
    n: int,
    rho: float,
    effect: float = 0.0,
    noisy: float = 1.0,
    rope: float = 0.0,
    repeats: int = REPEATS,
) -> Rates:
    found = [effects(y, rope=rope) for y in tables(k, n, rho, effect, noisy, repeats)]
    true = [row[0 if not effect else 1 :] for row in found]  # those that do not differ
    flat = [e for row in true for e in row]
    return Rates(
        single=_share(e.p < 0.05 for e in flat),
        family=_share(any(e.p_holm < 0.05 for e in row) for row in true),
        covered=_share(
            _covers(e, effect if v == 0 else 0.0) for r in found for v, e in enumerate(r)
        ),
        found=_share(row[0].p_holm < 0.05 for row in found),
        equal=_share(row[0].verdict == "equal" for row in found),
    )


def _covers(effect: Effect, truth: float) -> bool:
    return effect.low <= truth <= effect.high


def _share(hits) -> float:
    found = list(hits)
    return float(np.mean(found)) if found else float("nan")


def main() -> None:
    print("| k | n | rho | noise of the last | p < .05 | family | coverage | power |")
    print("|" + "---:|" * 8)
    for noisy in (1.0, 5.0):
        for k in (2, 3, 6):
            for n in (3, 5, 8):
                for rho in (0.0, 0.5, 0.9):
                    null = simulate(k, n, rho, noisy=noisy)
                    power = simulate(k, n, rho, effect=2.0, noisy=noisy).found
                    cells = (null.single, null.family, null.covered, power)
                    text = " | ".join(f"{cell:.3f}" for cell in cells)
                    print(f"| {k} | {n} | {rho} | {noisy:g} | {text} |", flush=True)


if __name__ == "__main__":
    main()
