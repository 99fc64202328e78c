"""What makes the difference of two variants noisy, and what a CPU second buys against it.

python -m benchmarks.noise [--seeds 10] [--only NAME ..]

RMSNorm against LayerNorm (`experiment=norms`), each condition with the same seeds. Of each it
prints the correlation of the two over the seeds, the standard deviation of their difference d,
the baseline's loss, the CPU seconds of a pair of runs, and the difference that ten minutes of two
cores would see 4 times in 5: with n pairs, sd(d) times the non-centrality of t over sqrt(n).
Keeps what it has run in outputs/sweeps/noise-NAME.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from lightning_transformer.compare.report.inference.noise import Student
from lightning_transformer.runs.result import read

BUDGET = 1200.0  # CPU seconds: ten minutes of two cores
NORMS = ("layernorm", "rmsnorm")
MOST = 40  # pairs; beyond, another one adds little
CONDITIONS = {
    "base": [],
    "lr6e-3": ["optimizer.lr=6e-3"],
    "lr1.2e-2": ["optimizer.lr=1.2e-2"],
    "to_zero": ["schedule.min_ratio=0"],
    "to_zero_1.2e-2": ["schedule.min_ratio=0", "optimizer.lr=1.2e-2"],
    "linear_to_zero": ["schedule=linear", "schedule.warmup=0.1", "schedule.min_ratio=0"],
    "averaged": ["callbacks=ema", "callbacks.ema.decay=0.97"],
    "averaged_1.2e-2": ["callbacks=ema", "callbacks.ema.decay=0.97", "optimizer.lr=1.2e-2"],
    "400_steps": ["trainer.max_steps=400"],
    "800_steps": ["trainer.max_steps=800"],
    "batch_16": ["data.batch_size=16"],
    "batch_32": ["data.batch_size=32"],
    "batch_32_6e-3": ["data.batch_size=32", "optimizer.lr=6e-3"],
    "100_steps_batch_16": ["trainer.max_steps=100", "data.batch_size=16", "trainer.val_every=50"],
    "d_model_128": ["model.d_model=128", "init.embedding_std=0.09"],
}


# A job of a comparison is forked from a process that has imported everything.
COST = """
import sys, time
from lightning_transformer.cli.main import main
import lightning_transformer.training.run
before = time.process_time()
try:
    main()
finally:
    print(time.process_time() - before, file=sys.stderr)
"""


def run(name: str, overrides: list[str], n_seeds: int) -> tuple[Path, float]:
    """Run a condition; its folder and the CPU seconds of a pair of its runs."""
    words = ["norm=layernorm,rmsnorm", "lr=fixed", f"seeds={n_seeds}", f"name=noise-{name}"]
    call = [sys.executable, "-m", "lightning_transformer.compare", "run", "experiment=norms"]
    subprocess.run([*call, *words, *overrides], check=True, stdout=subprocess.DEVNULL)
    folder = Path("outputs/sweeps") / f"noise-{name}"
    spent = folder / "cpu_seconds.txt"
    if not spent.exists():
        spent.write_text(str(sum(cost(["norm=" + norm, *overrides]) for norm in NORMS)))
    return folder, float(spent.read_text())


def cost(overrides: list[str]) -> float:
    """CPU seconds of one run with one thread, without its imports."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                COST,
                "experiment=norms",
                *overrides,
                f"hydra.run.dir={folder}/run",
            ],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stderr.split()[-1])


def losses(folder: Path, norm: str, n_seeds: int) -> np.ndarray:
    found = [
        read(folder / f"norm={norm},seed={seed}").metrics["test/loss"]
        for seed in range(1, n_seeds + 1)
    ]
    return np.array(found, dtype=float)


def row(name: str, overrides: list[str], n_seeds: int) -> str:
    folder, pair = run(name, overrides, n_seeds)
    base, other = (losses(folder, norm, n_seeds) for norm in NORMS)
    sd = 100 * (other - base).std(ddof=1) / base.mean()
    n = max(2, min(MOST, int(BUDGET / pair)))
    seen = Student("seeds", sd / math.sqrt(n), n - 1).detectable(0.05)
    correlation = np.corrcoef(base, other)[0, 1]
    return (
        f"| {name} | {base.mean():.4f} | {correlation:.2f} | {sd:.2f} % | {pair:.1f} | {n} "
        f"| {seen:.2f} % |"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", nargs="*", choices=CONDITIONS, default=list(CONDITIONS))
    asked = parser.parse_args()
    print("| condition | loss | correlation | sd of d | CPU s a pair | pairs | seen |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name in asked.only:
        print(row(name, CONDITIONS[name], asked.seeds), flush=True)


if __name__ == "__main__":
    main()
