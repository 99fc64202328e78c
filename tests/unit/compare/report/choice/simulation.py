"""Error rates of "each with its best rate".

`python -m tests.unit.compare.report.choice.simulation` prints the table of statistics.md.

All variants have one curve, loss = 2.4 + .03 (x - best)^2 with x in octaves, and each screens for
itself: half, once and twice the configured rate, wider at an edge, as `compare run` does. The
reported runs are five fresh seeds at the rate that each has chosen. So the best rates of any two do
not differ, and what the chosen ones differ by is an error of the choice.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from lightning_transformer.compare.report.choice.chosen import TunedKey, of_rates, of_values
from lightning_transformer.compare.report.choice.rate_curve import RateChoice, choose
from lightning_transformer.compare.report.inference import noise
from lightning_transformer.compare.report.inference.noise import Source, Student
from lightning_transformer.compare.run.request import SCREENING_SEEDS

CURVATURE = 0.03
LEVEL = 2.4
SEEDS = 5
MAX_WIDENED = 3
LEVEL_SD = 0.03  # of a screening seed, common to its rates


class Case(NamedTuple):
    """k variants; sd of a screening run, and of a reported one as a multiple of it; best x."""

    sd: float
    k: int
    reported: float = 1.0
    best: float = 0.0


class Rates(NamedTuple):
    """family: tables with a false difference. covered: intervals that hold zero. width: median,
    as a multiple of the interval of the seeds alone. excess: mean loss above the best."""

    family: float
    covered: float
    width: float
    excess: float


def single(case: Case, generator: np.random.Generator) -> tuple[float, None]:
    """x by the rule before: the best of single runs."""
    losses: dict[float, float] = {}

    def run(x: float) -> None:
        losses[x] = CURVATURE * (x - case.best) ** 2 + generator.normal(0, case.sd)

    _search(run, losses)
    return min(losses, key=lambda x: (losses[x], x)), None


def screened(case: Case, generator: np.random.Generator) -> tuple[float, RateChoice]:
    """x by the curve through the runs of the screening seeds."""
    n = len(SCREENING_SEEDS)
    levels = generator.normal(LEVEL, LEVEL_SD, n)
    losses: dict[float, list[float]] = {}
    means: dict[float, float] = {}

    def run(x: float) -> None:
        y = levels + CURVATURE * (x - case.best) ** 2 + generator.normal(0, case.sd, n)
        losses[2.0**x], means[x] = y.tolist(), float(y.mean())

    _search(run, means)
    choice = choose(losses, 1.0)
    return math.log2(choice.rate), choice


def _search(run, losses) -> None:
    for x in (-1.0, 0.0, 1.0):
        run(x)
    for _ in range(MAX_WIDENED):
        best = min(losses, key=lambda x: (losses[x], x))
        if best not in (min(losses), max(losses)):
            return
        run(best - 1 if best == min(losses) else best + 1)


def simulate(case: Case, repeats: int, rule=screened) -> Rates:
    generator = np.random.default_rng([round(1000 * (number + 9)) for number in case])
    false, covered, widths, excesses = 0, [], [], []
    for _ in range(repeats):
        found = [rule(case, generator) for _ in range(case.k)]
        loss = np.array([CURVATURE * (x - case.best) ** 2 for x, _ in found])
        excesses.extend(loss)
        y = loss[:, None] + generator.normal(0, case.sd * case.reported, (case.k, SEEDS))
        rejected = False
        for v in range(1, case.k):
            d = y[v] - y[0]
            seeds = Student("seeds", float(d.std(ddof=1)) / math.sqrt(SEEDS), SEEDS - 1.0)
            sources: list[Source] = [seeds]
            if found[v][1] is not None:
                rates = of_rates(found[v][1], found[0][1])
                assert rates is not None or found[v][1].price is None or found[0][1].price is None
                sources += [rates] if rates else []
            half = noise.half(sources, 0.05)
            covered.append(abs(d.mean()) <= half)
            widths.append(half / (stdtrit(SEEDS - 1.0, 0.975) * seeds.se))
            rejected |= abs(d.mean()) > noise.half(sources, 0.05 / (case.k - 1))
        false += rejected
    return Rates(
        false / repeats, float(np.mean(covered)), float(np.median(widths)), float(np.mean(excesses))
    )


def tuned(sd: float, n_values: int, repeats: int) -> tuple[float, float]:
    """Coverage and median width in sd, of two variants that tune a key without any effect."""
    generator = np.random.default_rng([n_values, round(1000 * sd)])
    covered, widths = [], []
    names = [str(i) for i in range(n_values)]
    truth = np.linspace(0, sd, n_values)
    for _ in range(repeats):
        keys, losses = [], []
        for _ in range(2):
            y = truth[:, None] + generator.normal(0, sd, (n_values, 3))
            best = int(np.argmin(y.mean(axis=1)))
            keys.append(TunedKey(dict(zip(names, y.tolist(), strict=True)), names[best]))
            losses.append(truth[best])
        d = losses[0] - losses[1] + generator.normal(0, sd * math.sqrt(2), SEEDS)
        seeds = Student("seeds", float(d.std(ddof=1)) / math.sqrt(SEEDS), SEEDS - 1.0)
        values = of_values([keys[0]], [keys[1]])
        assert values is not None
        half = noise.half([seeds, values], 0.05)
        covered.append(abs(d.mean()) <= half)
        widths.append(half / sd)
    return float(np.mean(covered)), float(np.median(widths))


GRID = [
    Case(sd, k, reported, best)
    for sd in (0.004, 0.022, 0.05)
    for k in (2, 5)
    for reported, best in ((1.0, 0.0), (1.0, 0.6), (0.5, 0.0), (0.5, 0.6))
]


def main(repeats: int = 2000) -> None:
    print("| sd | k | reported | best | family | coverage | width | excess | before | coverage |")
    print("|" + "---:|" * 10)
    for case in GRID:
        now, before = simulate(case, repeats), simulate(case, repeats, single)
        numbers = [
            *(f"{number:g}" for number in case),
            f"{now.family:.3f}", f"{now.covered:.3f}", f"{now.width:.2f}", f"{now.excess:.4f}",
            f"{before.family:.3f}", f"{before.covered:.3f}",
        ]  # fmt: skip
        print(f"| {' | '.join(numbers)} |", flush=True)


if __name__ == "__main__":
    main()
