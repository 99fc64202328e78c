"""How long a report takes, of made runs: 100 and 1000 of them, all files and the page alone.

python -m benchmarks.compare
"""

import io
import random
import tempfile
import time
from pathlib import Path

from rich.console import Console

from lightning_transformer.compare.report.write import Wanted, write
from tests.unit.compare.report.made_runs import make_run

SEEDS = 5


def main() -> None:
    for n_variants in (20, 200):
        with tempfile.TemporaryDirectory() as folder:
            draw = random.Random(0)
            for variant in range(n_variants):
                for seed in range(1, SEEDS + 1):
                    name = f"v{variant}"
                    place = Path(folder) / f"norm={name},seed={seed}"
                    make_run(place, seed=seed, loss=2 + draw.gauss(0, 0.1), norm=name)
            for page_only in (True, False):
                start = time.perf_counter()
                wanted = Wanted(page_only=page_only)
                write([Path(folder)], wanted, Console(file=io.StringIO()))
                what = "page" if page_only else "all files"
                took = time.perf_counter() - start
                print(f"{n_variants * SEEDS:5} runs, {what:9} {took:6.2f} s", flush=True)


if __name__ == "__main__":
    main()
