"""A comparison in the queue of Slurm whose runs only count steps, so that killing is all there is.

`python -m tests.helpers.light_runs FOLDER` is the command; its jobs start
`python -m tests.helpers.light_runs run ..` in place of a training.
"""

from __future__ import annotations

import csv
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from lightning_transformer.compare.run.launchers.slurm import Slurm
from lightning_transformer.compare.run.outcome import Job
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.compare.run.queue import script
from lightning_transformer.compare.run.queue.in_job.status import newest_step
from lightning_transformer.compare.run.scheduler import Pool
from lightning_transformer.compare.run.state import locked
from lightning_transformer.runs.result import RunResult
from tests.unit.compare.run.fake_jobs import plan, pool

N_RUNS = 12
STEPS, SAVE_EVERY, SECONDS = 40, 5, 0.1


def asked() -> Plan:
    return plan(lr="fixed", seeds=tuple(range(1, N_RUNS // 2 + 1)))


def compare(folder: Path) -> Pool:
    """Work until all runs have ended, as `compare run launcher=slurm` does."""
    script.PROGRAM = "python -m tests.helpers.light_runs run"
    found = pool(asked(), folder, n_workers=N_RUNS)
    found.load_outcomes()
    launcher = Slurm()

    def compose(job: Job) -> list[str]:
        return [*job.overrides, f"hydra.run.dir={folder / job.folder}"]

    def say(line: str) -> None:
        print(line, flush=True)

    machine = launcher.machine(found.plan.variants, N_RUNS, None, None)
    with (
        locked(folder, say) as lock,
        launcher.starting(found, machine, compose, lock, say) as start,
    ):
        found.run(start, say, lambda: None)
    return found


def run(words: Sequence[str]) -> int:
    """Count from the newest checkpoint to the end; at SIGTERM save and leave with 143."""
    folder = Path(words[-1].partition("=")[2])
    folder.mkdir(exist_ok=True)
    step = newest_step(folder)
    with (folder / "begun.txt").open("a") as log:
        log.write(f"{step}\n")

    def stop(signum: int, frame: object) -> NoReturn:
        save(folder, step)
        sys.exit(143)

    signal.signal(signal.SIGTERM, stop)
    while step < STEPS:
        time.sleep(SECONDS)
        step += 1
        if step % SAVE_EVERY == 0:
            save(folder, step)
    loss = 1 + int(words[-2].partition("=")[2]) / 10  # the seed
    metrics: dict[str, float | None] = {"val/loss": loss, "test/loss": loss}
    with (folder / "metrics.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["step", "train/loss", "val/loss"], [1, 5.0, loss]])
    result = RunResult(status="finished", overrides=list(words[:-1]), steps=STEPS, metrics=metrics)
    result.write(folder)
    return 0


def save(folder: Path, step: int) -> None:
    (folder / "checkpoints" / f"step-{step}").mkdir(parents=True, exist_ok=True)


if __name__ == "__main__":
    if sys.argv[1] == "run":
        sys.exit(run(sys.argv[2:]))
    sys.exit(len(compare(Path(sys.argv[1])).failures))
