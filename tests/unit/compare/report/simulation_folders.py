"""Error rates of whole reports, of run folders with a known truth that `compare` reads itself.

`python -m tests.unit.compare.report.simulation_folders [TABLES]` prints the rows of
docs/design/statistics.md. No variant differs; a table errs where any is called better or worse
(with a margin of zero), and an interval errs where it does not hold zero.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from lightning_transformer.compare.report.comparison import Comparison, Looks
from lightning_transformer.compare.report.write import Wanted, build_report
from lightning_transformer.compare.run.adding.settle import OPEN, next_look
from tests.unit.compare.report.made_runs import make_run

NOISE = 0.02  # sd of a run's own loss; of what a seed gives all variants as well
N_DOCUMENTS, N_ROWS, ROW_SD = 30, 10, 0.3  # of a test text, and of a row's difference
SEEDS, LOOKS = 5, Looks(3, 12)


@dataclass(frozen=True)
class Case:
    """k variants, the baseline included; icc: of the rows of a document, None for no documents."""

    k: int
    sequential: bool = False
    icc: float | None = None


@dataclass
class Truth:
    """What a table's runs are drawn from."""

    case: Case
    generator: Generator

    def __post_init__(self) -> None:
        # The difference of a variant on each row of the test text, the same for all its seeds.
        icc = self.case.icc or 0.0
        draw = self.generator.standard_normal
        of_document = np.sqrt(icc) * draw((self.case.k, N_DOCUMENTS, 1))
        of_row = np.sqrt(1 - icc) * draw((self.case.k, N_DOCUMENTS, N_ROWS))
        self.rows = ROW_SD * (of_document + of_row)

    def write(self, folder: Path, variant: int, seed: int) -> None:
        shared = np.random.default_rng(seed).normal(0, NOISE)
        loss = 2.0 + shared + self.generator.normal(0, NOISE)
        losses = None
        if self.case.icc is not None:
            text = self.rows[variant] if variant else np.zeros_like(self.rows[0])
            each = (loss + text).ravel()
            losses = [(64 * x, 64, i // N_ROWS) for i, x in enumerate(each)]
            loss = float(np.float32(64 * each).sum(dtype=float) / (64 * each.size))
        name = f"v{variant}"
        place = folder / f"norm={name},seed={seed}"
        make_run(place, seed=seed, loss=loss, norm=name, losses=losses)


def table(case: Case, generator: Generator, folder: Path) -> tuple[bool, list[bool]]:
    """Whether any variant was called different, and which intervals hold zero."""
    truth = Truth(case, generator)
    labels = [f"norm=v{variant}" for variant in range(case.k)]
    had = dict.fromkeys(labels, 0)
    n_seeds = dict.fromkeys(labels, LOOKS.first if case.sequential else SEEDS)
    while True:
        for variant, label in enumerate(labels):
            for seed in range(had[label] + 1, n_seeds[label] + 1):
                truth.write(folder, variant, seed)
        had = dict(n_seeds)
        if case.sequential:
            Comparison(
                by=["norm"],
                baseline={"norm": "v0"},
                seeds=list(range(1, LOOKS.planned + 1)),
                n_seeds=n_seeds,
                looks=LOOKS,
            ).write(folder)
        report = build_report([folder], Wanted(baseline="norm=v0", margin_percent=0.0))
        rows = report.variants[1:]
        for row in rows if case.sequential else ():
            if row.verdict in OPEN:
                n_seeds[row.variant] = next_look(n_seeds[row.variant], LOOKS.planned)
        n_seeds[labels[0]] = max(n_seeds[label] for label in labels[1:])
        if n_seeds == had:
            break
    effects = [row.effect for row in rows if row.effect]
    held = [
        effect.low <= 0 <= effect.high
        for effect in effects
        if effect.low is not None and effect.high is not None
    ]
    return any(row.verdict in ("better", "worse") for row in rows), held


def rates(case: Case, n_tables: int, seed: int = 0) -> tuple[float, float]:
    """The share of tables that err, and of intervals that hold the truth."""
    generator = np.random.default_rng(seed)
    errors, held = [], []
    for _ in range(n_tables):
        with tempfile.TemporaryDirectory() as folder:
            wrong, intervals = table(case, generator, Path(folder))
        errors.append(wrong)
        held += intervals
    return float(np.mean(errors)), float(np.mean(held))


CASES = {
    "5 seeds, k = 2": Case(2),
    "5 seeds, k = 4": Case(4),
    "5 seeds, k = 8": Case(8),
    "3 to 12 seeds, k = 2": Case(2, sequential=True),
    "3 to 12 seeds, k = 4": Case(4, sequential=True),
    "5 seeds, k = 2, documents of icc .05": Case(2, icc=0.05),
    "5 seeds, k = 2, documents of icc .1": Case(2, icc=0.1),
    "5 seeds, k = 4, documents of icc .1": Case(4, icc=0.1),
}


def main(n_tables: int) -> None:
    print("| run folders | any false alarm | coverage |\n|---|---:|---:|")
    for name, case in CASES.items():
        wrong, held = rates(case, n_tables)
        print(f"| {name} | {wrong:.3f} | {held:.3f} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
