"""Each run as a job in the queue of Slurm, which goes on when the command has ended."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from lightning_transformer.compare.run.ask import Ask
from lightning_transformer.compare.run.launchers.base import Compose, Launcher, Say
from lightning_transformer.compare.run.machine import Machine
from lightning_transformer.compare.run.queue.in_job.code_digest import code_sha256, head
from lightning_transformer.compare.run.queue.jobs import JobQueue
from lightning_transformer.compare.run.queue.options import Resources, check_extra, check_value
from lightning_transformer.compare.run.queue.record import PLACE, QueueRecord, read_record
from lightning_transformer.compare.run.queue.remote_ask import ask_in_queue
from lightning_transformer.compare.run.queue.script import job_script, script
from lightning_transformer.compare.run.queue.slurm_engine import SlurmEngine
from lightning_transformer.compare.run.queue.terminal import leave_jobs
from lightning_transformer.compare.run.scheduler import Pool, Start
from lightning_transformer.compare.run.variants import Variant
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.claim import claim as claim_folder


class Slurm(Launcher):
    """Submits with sbatch, asks squeue once a second about all jobs together.

    Args:
        partition, account, qos, constraint: of sbatch; None leaves the choice to the cluster.
        gpus: of each node of a run; 0 = it sees none.
        cpus: of each process of a run, which are its threads.
        memory: of each node, such as 16G.
        minutes: time limit of a job; a run that reaches it goes on in another one.
        pack: runs that share a job.
        max_queued: jobs in the queue at a time, where workers= does not say it.
        extra: further options of sbatch.
    """

    def __init__(
        self,
        *,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        gpus: int = 0,
        cpus: int = 1,
        memory: str | None = None,
        minutes: int | None = None,
        pack: int = 1,
        max_queued: int = 100,
        extra: Sequence[str] = (),
    ) -> None:
        for key, value, least in (
            ("gpus", gpus, 0),
            ("cpus", cpus, 1),
            ("pack", pack, 1),
            ("max_queued", max_queued, 1),
            ("minutes", 5 if minutes is None else minutes, 5),
        ):
            check_value(f"launcher.{key}", value, least)
        check_extra(extra)
        self.gpus, self.cpus, self.pack, self.max_queued = gpus, cpus, pack, max_queued
        typed = {
            "partition": partition,
            "account": account,
            "qos": qos,
            "constraint": constraint,
            "mem": memory,
            "time": minutes,
        }
        self._options = [f"--{key}={value}" for key, value in typed.items() if value is not None]
        self._options += extra

    def on_gpus(self) -> bool:
        return self.gpus > 0

    def machine(
        self,
        variants: Sequence[Variant],
        n_jobs: int,
        workers: int | None,
        threads: int | None,
    ) -> Machine:
        if threads not in (None, self.cpus):
            raise ConfigError(
                f"launcher.cpus={self.cpus}, but the runs of this comparison have {threads} "
                "threads each, and sums in another order differ in the last bit; use "
                f"launcher.cpus={threads}"
            )
        resources = self._resources(variants)
        self._engine(resources).check(script("true", self.cpus, self.gpus))
        n = max(1, min((workers or self.max_queued) * self.pack, n_jobs))
        return Machine(n, self.cpus, where="the queue of Slurm")

    def asking(self, folder: Path, machine: Machine, say: Say) -> Ask:
        one = self._engine(Resources(cpus=self.cpus, gpus=min(self.gpus, 1)))
        return partial(
            ask_in_queue,
            place=folder / PLACE,
            engine=one,
            wrap=lambda body: script(body, self.cpus, self.gpus),
            say=say,
        )

    @contextmanager
    def starting(
        self, pool: Pool, machine: Machine, compose: Compose, lock: int, say: Say
    ) -> Iterator[Start]:
        resources = self._resources(pool.plan.variants)
        name = pool.plan.request.name
        alone = claim_folder(pool.folder / PLACE, name)  # a command on another login node, too
        try:
            queue = JobQueue(
                pool.folder,
                _record(pool.folder, name),
                self._engine(resources),
                script=lambda orders: job_script(orders, resources),
                compose=compose,
                pack=self.pack,
                threads=self.cpus,
                gpus=self.gpus,
                asks=lambda n: leave_jobs(n, name, asks=pool.signum == signal.SIGINT),
                say=say,
            )
            found = queue.adopt(pool.plan.todo(pool.outcomes))
            if found:
                say(f"adopted   {len(found)} runs that are in the queue")
            pool.adopt([(one.job, one) for one in found])
            yield queue.start
            if queue.allocations:
                say(
                    f"queue     {len(queue.allocations)} jobs go on; the same command adopts them, "
                    f"compare cancel {name} ends them"
                )
        finally:
            alone.release()

    def _engine(self, resources: Resources) -> SlurmEngine:
        return SlurmEngine((*resources.options(self.pack), *self._options))

    def _resources(self, variants: Sequence[Variant]) -> Resources:
        """Of a job. Raises ConfigError where devices and GPUs do not fit."""
        shapes = {(variant.nodes, variant.devices) for variant in variants}
        if len(shapes) > 1:
            raise ConfigError("launcher=slurm needs one trainer.devices and num_nodes for all runs")
        ((nodes, devices),) = shapes
        if not isinstance(devices, int):
            raise ConfigError(
                f"trainer.devices={devices} does not say how many processes a job is to have; "
                "write a number, such as trainer.devices=1"
            )
        if self.pack > 1 and nodes * devices > 1:
            raise ConfigError(
                f"launcher.pack={self.pack} is for runs of one device, and these have "
                f"{nodes * devices}; use launcher.pack=1"
            )
        if self.gpus and self.pack == 1 and self.gpus != devices:
            raise ConfigError(
                f"launcher.gpus={self.gpus}, but a run uses trainer.devices={devices} of a node; "
                f"use launcher.gpus={devices}"
            )
        accelerator = variants[0].accelerator
        if accelerator in ("gpu", "cuda") and not self.gpus:
            raise ConfigError(
                f"trainer.accelerator={accelerator} needs GPUs; use launcher.gpus={devices}"
            )
        return Resources(nodes, devices, self.cpus, self.gpus)


def _record(folder: Path, name: str) -> QueueRecord:
    """The record of the comparison. Raises ConfigError where its code was another."""
    code, found = code_sha256(), read_record(folder)
    if found is None:
        return QueueRecord(SlurmEngine.kind, code, head())
    if found.code != code:
        raise ConfigError(
            f"name={name} was started with other code"
            f"{f' (commit {found.commit})' if found.commit else ''}; go back to it, or choose "
            "another name="
        )
    return found
