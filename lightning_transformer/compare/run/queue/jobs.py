"""The jobs of a comparison in a queue: submitted, asked for together, adopted by later commands."""

import os
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from pathlib import Path

from lightning_transformer.compare.run.outcome import Job, Key
from lightning_transformer.compare.run.queue.engine import Engine, NotSubmitted
from lightning_transformer.compare.run.queue.in_job.status import SAME, STOPPED, newest_step
from lightning_transformer.compare.run.queue.in_queue import InQueue
from lightning_transformer.compare.run.queue.orders import (
    BUSY,
    EXITS,
    STUCK,
    Exit,
    Orders,
    RunOrder,
    cancel_file,
    orders_file,
    read_exit,
    read_orders,
)
from lightning_transformer.compare.run.queue.record import (
    PLACE,
    PREFIX,
    Allocation,
    QueuedRun,
    QueueRecord,
)
from lightning_transformer.compare.run.scheduler import GIVEN_UP, LOST

EVERY = 1.0  # seconds between two questions to the queue, about all jobs together
GONE_AFTER = 30.0  # seconds out of the queue without an exit status: files may arrive late
BURST = 20  # jobs that are submitted between two questions
RESUBMIT_AFTER = 10.0  # seconds after which a job that the queue may not have taken is sent again
ENDED = "CANCELLED"  # Slurm's word for a job that somebody ended

Compose = Callable[[Job], list[str]]  # the arguments of a run
Script = Callable[[Orders], str]


class JobQueue:
    """Runs of a comparison in the queue of a cluster.

    Attributes:
        allocations: token to the runs of a job, as long as one of them has not ended.
    """

    def __init__(
        self,
        folder: Path,
        record: QueueRecord,
        engine: Engine,
        *,
        script: Script,
        compose: Compose,
        pack: int = 1,
        threads: int = 1,
        gpus: int = 0,
        asks: Callable[[int], bool] = lambda n: True,
        say: Callable[[str], None] = print,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """asks: whether to leave so many jobs, when the command is stopped."""
        self.folder, self.record, self.engine = folder, record, engine
        self.place = folder / PLACE
        self.pack, self.threads, self.gpus = pack, threads, gpus
        self._script, self._compose, self._asks = script, compose, asks
        self._say, self._clock = say, clock
        self.allocations: dict[str, list[InQueue]] = {}
        self._waiting: list[InQueue] = []
        self._absent: dict[str, float] = {}  # token to when it was first missed
        self._lost: dict[Key, list[int]] = defaultdict(list)  # the checkpoints of lost runs
        self._chains: dict[Key, str] = {}
        self._next = 0.0
        self._told = ""
        self._ending = False

    def adopt(self, jobs: Sequence[Job]) -> list[InQueue]:
        """The runs that an earlier command has queued and that have not ended, as far as known."""
        by_key = {job.key: job for job in jobs}
        for token, allocation in self.record.allocations.items():
            runs = [run for run in allocation.runs if (run.folder, run.until) in by_key]
            self.allocations[token] = [
                self._in_queue(by_key[run.folder, run.until], run) for run in runs
            ]
            self._chains |= {(run.folder, run.until): run.chain for run in runs}
        return [one for some in self.allocations.values() for one in some]

    def start(self, job: Job, worker: int) -> InQueue:
        """Have a run queued, with others that are started now, at the next look."""
        chain = self._chains.setdefault(job.key, uuid.uuid4().hex)
        one = self._in_queue(job, QueuedRun(job.folder, job.until, chain))
        self._waiting.append(one)
        return one

    def _in_queue(self, job: Job, run: QueuedRun) -> InQueue:
        return InQueue(self, job, run, self._log(job.folder))

    def _log(self, run_folder: str) -> Path:
        return self.folder / "logs" / f"{run_folder}.txt"

    def look(self) -> None:
        """Bring all runs up to date, once a second at most."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + EVERY
        self._submit_waiting()
        answer = self.engine.living() if self.allocations else None
        names = {} if answer is None else {name: number for number, name in answer.items()}
        there = self._exits()  # after the answer: what had ended by then has left its exit status
        for token in list(self.allocations):
            self._read_exits(token, there.get(token, set()))
            if answer is not None and token in self.allocations:
                self._judge(token, names.get(f"{PREFIX}{token}"), now)

    def _exits(self) -> dict[str, set[str]]:
        """Token to the names of the exit statuses that its runs have left."""
        found: dict[str, set[str]] = defaultdict(set)
        if self.allocations:
            for name in os.listdir(self.place / EXITS):
                found[name.partition(".")[0]].add(name)
        return found

    def _read_exits(self, token: str, there: Set[str]) -> None:
        """Note the exit statuses of a job's runs; forget it once it has all of them."""
        for index, run in enumerate(self.record.allocations[token].runs):
            mine = self._mine(token, run)
            if mine is not None and mine.exit is None and f"{token}.{index}" in there:
                self._note(mine, read_exit(self.place, f"{token}.{index}"))
        if len(there) == len(self.record.allocations[token].runs):
            self._forget(token)

    def _note(self, mine: InQueue, found: Exit | None) -> None:
        if found is not None and found.code == BUSY:
            self._lose(mine, found.line)
            return
        if found is not None and found.code == STUCK:
            found = Exit(GIVEN_UP, found.line)
        mine.exit = found
        if found is not None and found.code:
            self._chains.pop(mine.job.key, None)  # the next attempt is counted anew

    def _mine(self, token: str, run: QueuedRun) -> InQueue | None:
        return next((one for one in self.allocations[token] if one.run == run), None)

    def _judge(self, token: str, number: str | None, now: float) -> None:
        """number: of the job in an answer of the queue; None where it is not in it."""
        allocation = self.record.allocations[token]
        if number is not None:
            self._absent.pop(token, None)
            if number != allocation.number:
                allocation.number = number
                self.record.write(self.folder)
            return
        since = self._absent.setdefault(token, now)
        if not allocation.number:
            if self._ending:
                self._end(token, Exit(STOPPED))
            elif now - since >= RESUBMIT_AFTER:
                self._absent.pop(token)
                self._send(read_orders(orders_file(self.place, token)))
        elif now - since >= (0.0 if self._ending else GONE_AFTER):
            self._gone(token, allocation.number)

    def _gone(self, token: str, number: str) -> None:
        """A job has left the queue and not said how."""
        why = self.engine.why_gone(number)
        if self._ending:
            self._end(token, Exit(STOPPED))
            return
        if why == ENDED:
            self._end(token, Exit(GIVEN_UP, f"job {number} was cancelled in the queue"))
            return
        for one in self.allocations[token]:
            if one.exit is None:
                self._lose(one, f"job {number} left the queue ({why or 'nobody knows why'})")
        self._forget(token)

    def _lose(self, one: InQueue, what: str) -> None:
        """Have a run started again, unless that has not brought it on."""
        steps = self._lost[one.job.key]
        steps.append(newest_step(self.folder / one.job.folder))
        if len(steps) > SAME and len(set(steps[-SAME - 1 :])) == 1:
            line = f"no progress between {SAME} restarts, from the checkpoint of step {steps[-1]}"
            one.exit = Exit(GIVEN_UP, f"{line}; {what}")
        else:
            one.exit = Exit(LOST, what)

    def _end(self, token: str, found: Exit) -> None:
        for one in self.allocations[token]:
            one.exit = one.exit or found
        self._forget(token)

    def _forget(self, token: str) -> None:
        for index in range(len(self.record.allocations[token].runs)):
            (self.place / EXITS / f"{token}.{index}").unlink(missing_ok=True)
        # Without its orders a job that the queue took twice does not begin.
        orders_file(self.place, token).unlink(missing_ok=True)
        cancel_file(self.place, token).unlink(missing_ok=True)
        del self.allocations[token], self.record.allocations[token]
        self._absent.pop(token, None)
        self.record.write(self.folder)

    def _submit_waiting(self) -> None:
        """Queue what has been started, some jobs at a time: each takes sbatch a moment."""
        if not self._waiting or self._ending:
            return
        found = []
        for _ in range(BURST):
            runs, self._waiting = self._waiting[: self.pack], self._waiting[self.pack :]
            if runs:
                token = uuid.uuid4().hex[:16]
                self.allocations[token] = runs
                self.record.allocations[token] = Allocation([one.run for one in runs])
                found.append(self._orders(token))
                found[-1].write()
        self.record.write(self.folder)  # before any of them may start
        for orders in found:
            self._send(orders)
        self.record.write(self.folder)

    def _orders(self, token: str) -> Orders:
        runs = [
            RunOrder(one.job.folder, self._compose(one.job), one.run.chain, f"{token}.{index}")
            for index, one in enumerate(self.allocations[token])
        ]
        return Orders(
            sweep=str(self.folder.absolute()),
            engine=self.record.engine,
            code=self.record.code,
            commit=self.record.commit,
            token=token,
            runs=runs,
            threads=self.threads,
            gpus=self.gpus,
        )

    def _send(self, orders: Orders) -> None:
        """Submit a job; where the queue does not say that it took it, that is asked later."""
        logs = [self._log(run.folder) for run in orders.runs]
        for log in logs:
            log.parent.mkdir(parents=True, exist_ok=True)
        log = logs[0] if len(logs) == 1 else orders.file.with_suffix(".txt")
        try:
            number = self.engine.submit(self._script(orders), PREFIX + orders.token, log.absolute())
        except NotSubmitted as error:
            if str(error) != self._told:
                self._told = str(error)
                self._say(f"waiting   the queue takes no job now, tried again: {error}")
            return
        self.record.allocations[orders.token].number = number

    def stop(self, *, at_once: bool) -> None:
        """Leave the jobs in the queue, or, where the user wants that, end them.

        at_once: do not wait for their ends.
        """
        runs = [one for some in self.allocations.values() for one in some if one.exit is None]
        if self._ending:
            if at_once:
                self.engine.end(self._numbers(), at_once=True)
                for one in runs:
                    one.exit = Exit(STOPPED)
            return
        for one in self._waiting:
            one.exit = Exit(STOPPED)
        self._waiting.clear()
        if any(one.left for one in runs) or not runs:
            return
        if at_once or self._asks(len(self.allocations)):
            for one in runs:
                one.left = True
            return
        self._ending = True
        for token in self.allocations:
            cancel_file(self.place, token).touch()
        self.engine.end(self._numbers(), at_once=False)

    def _numbers(self) -> list[str]:
        numbers = [self.record.allocations[token].number for token in self.allocations]
        return [number for number in numbers if number]
