"""Each run in a process of this machine, which ends with the command."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from lightning_transformer.compare.run.ask import Ask, ask
from lightning_transformer.compare.run.launchers.base import Compose, Launcher, Say
from lightning_transformer.compare.run.machine import Machine, machine_for, sees_gpus
from lightning_transformer.compare.run.outcome import Job
from lightning_transformer.compare.run.process import Process, ProcessStarter
from lightning_transformer.compare.run.queue.record import check_nothing_queued
from lightning_transformer.compare.run.scheduler import Pool, Start
from lightning_transformer.compare.run.variants import Variant


class Local(Launcher):
    """As many jobs at a time as use all cores, or one for each GPU."""

    def on_gpus(self) -> bool:
        return sees_gpus()

    def machine(
        self,
        variants: Sequence[Variant],
        n_jobs: int,
        workers: int | None,
        threads: int | None,
    ) -> Machine:
        return machine_for(variants, n_jobs, workers, threads)

    def asking(self, folder: Path, machine: Machine, say: Say) -> Ask:
        return partial(ask, env=machine.environment(0))

    @contextmanager
    def starting(
        self, pool: Pool, machine: Machine, compose: Compose, lock: int, say: Say
    ) -> Iterator[Start]:
        check_nothing_queued(pool.folder, pool.plan.request.name)
        starter = ProcessStarter(lock, preload=sys.platform == "linux" and not machine.gpus)

        def start(job: Job, worker: int) -> Process:
            log = pool.folder / "logs" / f"{job.folder}.txt"
            return starter.start(compose(job), machine.environment(worker), log)

        yield start
