"""`python -m lightning_transformer.compare.run.queue.in_job.pack ORDERS`: several runs in one job.

They are started as on a machine of one's own: on a CPU forked from a process that has loaded torch.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lightning_transformer.compare.run.machine import DEVICES
from lightning_transformer.compare.run.process import Process, ProcessStarter
from lightning_transformer.compare.run.queue.engine import Engine
from lightning_transformer.compare.run.queue.in_job.status import begin, end
from lightning_transformer.compare.run.queue.orders import Orders, RunOrder, read_orders
from lightning_transformer.compare.run.queue.slurm_engine import SlurmEngine

POLL_SECONDS = 0.2
STOPPED = (128 + signal.SIGTERM, -signal.SIGTERM)  # with a checkpoint, and before there was a step


def main(arguments: Sequence[str]) -> int:
    """Return 143 where a run was stopped and is to go on, else 0: each has its own exit status."""
    # Slurm signals all processes of the step, so the runs get it too, and need no second one.
    signal.signal(signal.SIGTERM, lambda *signalled: None)
    file = Path(arguments[0])
    if not file.exists():
        return 0  # its runs have ended, in a job that the queue took twice
    orders = read_orders(file)
    with Path(os.devnull).open() as nothing:
        return work(orders, SlurmEngine(), nothing.fileno())


def work(orders: Orders, engine: Engine, lock: int) -> int:
    """Do all runs at a time. lock: see `ProcessStarter`."""
    starter = ProcessStarter(lock, preload=sys.platform == "linux" and not orders.gpus)
    running: list[tuple[RunOrder, Process]] = []
    for index, run in enumerate(orders.runs):
        if begin(orders, run, engine):
            log = Path(orders.sweep) / "logs" / f"{run.folder}.txt"
            running.append((run, starter.start(run.arguments, environment(index), log)))
    goes_on = False
    while running:
        time.sleep(POLL_SECONDS)
        for run, process in list(running):
            code = process.code()
            if code is None:
                continue
            running.remove((run, process))
            if code in STOPPED and not orders.cancel_file.exists():
                goes_on = True
            else:
                end(orders, run, code)
    return STOPPED[0] if goes_on else 0


def environment(index: int) -> dict[str, str]:
    """Of the run with this number: the GPUs of the job are dealt out in turn."""
    env = dict(os.environ)
    gpus = [name for name in env.get(DEVICES, "").split(",") if name]
    return {**env, DEVICES: gpus[index % len(gpus)]} if gpus else env


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
