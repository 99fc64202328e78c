"""How often an interval over seeds and documents holds the truth.

`python -m tests.unit.compare.report.sources.document_simulation` prints the table of
docs/design/statistics.md. Differences of rows have a variance of 1, of which the intraclass
correlation icc is of their document (Kish 1965), and are the same for all seeds; seeds add a
difference of their own to all documents, and one to each. Nothing differs in the mean.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lightning_transformer.compare.report.inference import noise
from lightning_transformer.compare.report.inference.noise import Student
from lightning_transformer.compare.report.sources.documents import document_source, effective_number

REPEATS = 4000
ROWS = 23.0  # of a document, in the mean


class Case(NamedTuple):
    """D documents; largest: share of the first, 0 = all of one length, else all differ.

    seeds, both: standard deviation of a seed, and of a seed in a document, as multiples of the
    standard error that the documents give the difference.
    """

    n_documents: int
    largest: float = 0.0
    icc: float = 0.05
    n_seeds: int = 5
    seeds: float = 0.0
    both: float = 0.0


def lengths(case: Case) -> np.ndarray:
    """Rows of each document (D,)."""
    if not case.largest:
        return np.full(case.n_documents, ROWS)
    drawn = np.random.default_rng(1).lognormal(math.log(ROWS), 0.8, case.n_documents)
    rows = np.maximum(1, drawn.round())
    rows[0] = round(case.largest / (1 - case.largest) * rows[1:].sum())
    return rows


class Rates(NamedTuple):
    """Share of 95 % intervals that hold the truth, and their median half width.

    rows: the same of intervals that take each row for a document.
    """

    effective: float
    covered: float
    half: float
    rows: float


def simulate(case: Case, repeats: int = REPEATS) -> Rates:
    generator = np.random.default_rng([round(100 * number) for number in case])
    n, d = case.n_seeds, case.n_documents
    rows = lengths(case)
    spread = np.sqrt(case.icc + (1 - case.icc) / rows)
    share = rows / rows.sum()
    error = math.sqrt(((share * spread) ** 2).sum())
    own = generator.standard_normal((repeats, 1, d)) * spread
    seed = generator.standard_normal((repeats, n, 1)) * case.seeds * error
    both = (
        generator.standard_normal((repeats, n, d)) * case.both * error / math.sqrt((share**2).sum())
    )
    differences = own + seed + both
    counts = np.broadcast_to(rows, (n, d))
    of_rows = Student("rows", 1 / math.sqrt(rows.sum()), math.inf)
    halves, right, right_of_rows = [], [], []
    for x in differences:
        means = x @ share
        of_seeds = Student("seeds", float(means.std(ddof=1)) / math.sqrt(n), n - 1)
        halves.append(noise.half([of_seeds, document_source(x * rows, counts)], 0.05))
        right.append(abs(means.mean()) < halves[-1])
        right_of_rows.append(abs(means.mean()) < noise.half([of_seeds, of_rows], 0.05))
    return Rates(
        effective_number(rows),
        float(np.mean(right)),
        float(np.median(halves)),
        float(np.mean(right_of_rows)),
    )


NOISE = {"documents alone": (0.0, 0.0), "seeds 2": (2.0, 0.0), "seeds 0.5, both 1": (0.5, 1.0),
         "seeds 0.5, both 3": (0.5, 3.0)}  # fmt: skip
SHAPES = (
    *((n, 0.0) for n in (3, 5, 10, 20, 60)),
    *((n, 0.43) for n in (5, 10, 20, 26, 60)),
    *((n, 0.15) for n in (20, 60)),
    (20, 0.55),
)


def main() -> None:
    named = ("documents", "largest", "effective", "icc", *NOISE, "rows, documents alone")
    print(f"| {' | '.join(named)} |")
    print("|" + "---:|" * len(named))
    for n_documents, largest in SHAPES:
        for icc in (0.05, 0.1):
            found = [
                simulate(Case(n_documents, largest, icc, seeds=seeds, both=both))
                for seeds, both in NOISE.values()
            ]
            cells = [
                str(n_documents), f"{100 * largest:.0f} %" if largest else "equal",
                f"{found[0].effective:.1f}", f"{icc}",
                *(f"{one.covered:.3f}" for one in found), f"{found[0].rows:.3f}",
            ]  # fmt: skip
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
