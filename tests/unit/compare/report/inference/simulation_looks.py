"""Error rates and power of seeds that are added until a variant is settled.

`python -m tests.unit.compare.report.inference.simulation_looks` prints the table of
docs/design/statistics.md. Two ways of stopping are compared: the spending of the level
that is used (`looks`), and a sequential test by a mixture (right Haar on the standard deviation,
Gaussian on the effect size: Wang and Ramdas 2024), which needs no plan and finds less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr

from lightning_transformer.compare.report.comparison import Looks
from lightning_transformer.compare.report.inference.looks import SCORES, critical_scores
from lightning_transformer.compare.run.adding.settle import next_look

Array = NDArray[np.float64]
PValue = Callable[[Array, int], Array]  # of t after n seeds
FIRST, LAST, ALPHA, G = 3, 20, 0.05, 1.0


def fixed(t: Array, n: int) -> Array:
    """Of a t-test that is read once."""
    return np.asarray(2 * stdtr(n - 1, -np.abs(t)))


def spending(t: Array, n: int) -> Array:
    """As `looks.level_of`, of many."""
    scores = critical_scores(Looks(FIRST, LAST), LAST)[n]
    score = np.interp(-ndtri(stdtr(n - 1, -np.abs(t))), scores[::-1], SCORES[::-1])
    return np.asarray(2 * ndtr(-score))


def mixture(t: Array, n: int) -> Array:
    """1 / e of the t-test with the effect size from N(0, G) (Gronau et al. 2020, eq. 4)."""
    nu = n - 1
    log_e = -0.5 * np.log1p(n * G) + (nu + 1) / 2 * (
        np.log1p(t * t / nu) - np.log1p(t * t / (nu * (1 + n * G)))
    )
    return np.asarray(np.minimum(1.0, np.exp(-log_e)))


def holm_rejects(p: Array) -> NDArray[np.bool_]:
    """Which of each row are below 5 % after Holm."""
    order = np.argsort(p, axis=1)
    ranked = np.take_along_axis(p, order, axis=1) * np.arange(p.shape[1], 0, -1)
    ok = np.maximum.accumulate(ranked, axis=1) < ALPHA
    found = np.empty_like(ok)
    np.put_along_axis(found, order, ok, axis=1)
    return found


def tables(
    k: int, effect: float, rho: float, tails: float | None, repeats: int, seed: int = 0
) -> Array:
    """Differences (repeats, k - 1, LAST) with a standard deviation of 1; only the first differs."""
    generator = np.random.default_rng(seed)
    shape = (repeats, k, LAST)
    noise = (
        generator.standard_normal(shape)
        if tails is None
        else generator.standard_t(tails, shape) / np.sqrt(tails / (tails - 2))
    )
    own = np.sqrt(1 - rho) * noise  # what a seed gives all variants is no part of a difference
    d = (own[:, 1:] - own[:, :1]) / np.sqrt(2 * (1 - rho))
    d[:, 0] += effect
    return np.asarray(d)


def stopped(d: Array, p_value: PValue, ns: list[int]) -> tuple[Array, Array]:
    """Of each variant: whether it was called different at any look, and its number of seeds."""
    open_ = np.ones(d.shape[:2], dtype=bool)
    called, n_seeds = np.zeros_like(open_), np.full(d.shape[:2], ns[-1], dtype=float)
    p = np.ones(d.shape[:2])
    for n in ns:
        part = d[:, :, :n]
        t = part.mean(axis=2) / (part.std(axis=2, ddof=1) / np.sqrt(n))
        p = np.where(open_, p_value(t, n), p)  # a settled variant keeps its seeds, and its p
        now = holm_rejects(p) & open_
        called |= now
        n_seeds[now] = n
        open_ &= ~now
    return called, n_seeds


def looks_at() -> list[int]:
    found = [FIRST]
    while found[-1] < LAST:
        found.append(next_look(found[-1], LAST))
    return found


WAYS: dict[str, tuple[PValue, list[int]]] = {
    "5 seeds": (fixed, [5]),
    "20 seeds": (fixed, [20]),
    "t-test at each look": (fixed, looks_at()),
    "mixture": (mixture, looks_at()),
    "spending": (spending, looks_at()),
}


def rows(repeats: int) -> Iterator[str]:
    """A row of the table for each number of variants, effect and tail."""
    cases = [
        (2, 0.0, None), (4, 0.0, None), (8, 0.0, None), (2, 0.0, 3.0), (4, 0.0, 3.0),
        (2, 0.5, None), (2, 0.75, None), (2, 1.0, None), (2, 1.5, None), (2, 2.0, None),
        (2, 1.0, 3.0), (4, 1.0, None), (8, 1.0, None),
    ]  # fmt: skip
    for k, effect, tails in cases:
        d = tables(k, effect, 0.5, tails, repeats)
        cells = []
        for p_value, ns in WAYS.values():
            called, n = stopped(d, p_value, ns)
            if effect:
                cells.append(f"{called[:, 0].mean():.2f} ({n[:, 0].mean():.1f})")
            else:
                cells.append(f"{called.any(axis=1).mean():.3f}")
        name = "normal" if tails is None else f"t, {tails:g} df"
        yield f"| {k} | {effect:g} | {name} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    print("| k | effect | noise |", " | ".join(WAYS), "|")
    print("|---:|---:|---|" + "---:|" * len(WAYS))
    for row in rows(20_000):
        print(row)
