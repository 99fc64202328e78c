"""A queue that loses answers, gives old ones, takes jobs twice, preempts them and kills nodes.

Its jobs are done step by step, in the way of the batch script: begin, work, leave the exit status.
"""

from __future__ import annotations

import random
import shlex
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lightning_transformer.compare.run.outcome import Job
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.compare.run.queue.engine import NotSubmitted
from lightning_transformer.compare.run.queue.in_job import status
from lightning_transformer.compare.run.queue.in_job.claim import Claimant
from lightning_transformer.compare.run.queue.jobs import JobQueue
from lightning_transformer.compare.run.queue.orders import Orders, RunOrder, read_orders
from lightning_transformer.compare.run.queue.record import QueueRecord, read_record
from lightning_transformer.compare.run.scheduler import Pool
from tests.unit.compare.run.fake_jobs import Jobs

WORK = 4  # turns that a run takes


@dataclass
class FakeJob:
    """A job of the queue. done: turns of work, of which those at a checkpoint stay."""

    number: str
    name: str
    orders: Orders
    state: str = "PENDING"
    restart: int = 0
    begun: list[RunOrder] = field(default_factory=list)


@dataclass
class FakeQueue:
    """An `Engine`; `turn()` lets a second pass.

    Attributes:
        trouble: how likely each misfortune is, each time that it can come.
        twice: runs that two jobs were at in the same turn: has to stay empty.
        starts: folder to how often its run was begun.
        calls: to the queue.
    """

    jobs: Jobs
    by_folder: dict[str, Job]
    draw: random.Random
    trouble: float = 0.0
    kind: str = "slurm"
    alive: dict[str, FakeJob] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    starts: Counter[str] = field(default_factory=Counter)
    twice: list[str] = field(default_factory=list)
    old: dict[str, str] = field(default_factory=dict)
    calls: int = 0
    now: float = 0.0
    preempted: Counter[str] = field(default_factory=Counter)

    def happens(self) -> bool:
        return self.draw.random() < self.trouble

    def submit(self, script: str, name: str, log: Path) -> str:
        self.calls += 1
        if self.happens():
            raise NotSubmitted("the controller is not there")
        number = self._take(script, name)
        if self.happens():
            number = self._take(script, name)  # sent again on its way
        if self.happens():
            raise NotSubmitted("timed out")  # and yet it was taken
        return number

    def _take(self, script: str, name: str) -> str:
        number = str(len(self.alive) + len(self.gone) + 1)
        self.alive[number] = FakeJob(number, name, read_orders(Path(script)))
        return number

    def living(self) -> dict[str, str] | None:
        self.calls += 1
        if self.happens():
            return None
        if self.happens():
            return dict(self.old)  # late
        self.old = {job.number: job.name for job in self.alive.values()}
        return dict(self.old)

    def end(self, numbers: list[str], *, at_once: bool) -> None:
        for number in numbers:
            job = self.alive[number]
            if job.state == "PENDING" or at_once:
                self._go(job, "CANCELLED")
            else:
                self._stop(job)

    def why_gone(self, number: str) -> str:
        return self.gone.get(number, "")

    def turn(self) -> None:
        """A second passes: waiting jobs begin, those that run work, or something happens."""
        self.now += 1.0
        at: Counter[str] = Counter()
        for job in list(self.alive.values()):
            if job.state == "PENDING":
                self._begin(job)
            elif self.happens() or self.preempted[job.name]:
                self._stop(job)
            elif self.happens():
                self._die(job)
            else:
                at.update(run.folder for run in job.begun)
                self._work(job)
        self.twice += [folder for folder, n in at.items() if n > 1]

    def _begin(self, job: FakeJob) -> None:
        job.state = "RUNNING"
        with self._in(job):
            for run in job.orders.runs if job.orders.file.exists() else ():
                if status.begin(job.orders, run, self):
                    job.begun.append(run)
                    self.starts[run.folder] += 1
        if not job.begun:
            self._go(job, "COMPLETED")

    def _work(self, job: FakeJob) -> None:
        for run in list(job.begun):
            self.done[run.folder] += 1
            place = Path(job.orders.sweep) / run.folder / "checkpoints" / "step-1"
            place.mkdir(parents=True, exist_ok=True)
            place.rename(place.with_name(f"step-{self.done[run.folder]}"))
            if self.done[run.folder] >= WORK:
                process = self.jobs.start(self.by_folder[run.folder], 0)
                job.begun.remove(run)
                with self._in(job):
                    status.end(job.orders, run, process.status)
        if not job.begun:
            self._go(job, "COMPLETED")

    def _stop(self, job: FakeJob) -> None:
        """SIGTERM: a checkpoint, and the job is queued again unless it was cancelled."""
        self.preempted[job.name] -= self.preempted[job.name] > 0
        if job.orders.cancel_file.exists():
            with self._in(job):
                for run in job.begun:
                    status.end(job.orders, run, 143)
            self._go(job, "COMPLETED")
            return
        job.state, job.begun, job.restart = "PENDING", [], job.restart + 1

    def _die(self, job: FakeJob) -> None:
        """Its node is lost; half of these jobs the queue does not start again."""
        if self.draw.random() < 0.5:
            job.state, job.begun, job.restart = "PENDING", [], job.restart + 1
        else:
            self._go(job, "NODE_FAIL")

    def _go(self, job: FakeJob, why: str) -> None:
        del self.alive[job.number]
        self.gone[job.number] = why

    def _in(self, job: FakeJob) -> pytest.MonkeyPatch:
        context = pytest.MonkeyPatch.context()
        me = Claimant(job.number, job.restart, "n1", job.orders.token)

        class Within:
            def __enter__(self) -> None:
                context.__enter__().setattr(status, "this_job", lambda token: me)

            def __exit__(self, *raised: object) -> None:
                context.__exit__(None, None, None)

        return Within()  # type: ignore[return-value]


def queue_of(pool: Pool, fake: FakeQueue, plan: Plan, **options) -> JobQueue:
    """What a command has of the queue, with the jobs of earlier commands."""
    record = read_record(pool.folder) or QueueRecord("slurm", "code", "")
    queue = JobQueue(
        pool.folder,
        record,
        fake,
        script=lambda orders: shlex.quote(str(orders.file)),
        compose=lambda job: list(job.overrides),
        clock=lambda: fake.now,
        say=lambda line: None,
        **options,
    )
    pool.adopt([(one.job, one) for one in queue.adopt(plan.todo(pool.outcomes))])
    return queue
