"""Runs the jobs of a plan, several at a time, until none is left or a signal arrives."""

import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol

from lightning_transformer.compare.report.comparison import FailedJob
from lightning_transformer.compare.run.outcome import Job, Key, Outcome, Price, outcome_of
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.compare.run.process import SIGNALS
from lightning_transformer.compare.run.state import State

ATTEMPTS = 2
BAD_INPUT = 2  # exit code of a refused configuration, which a second attempt would not change
# What queues add to exit codes, which are below 256.
LOST = 1000  # preempted, out of time, or its machine died: no attempt, for the run did not fail
GIVEN_UP = 1001  # cancelled by hand, or no progress
POLL_SECONDS = 0.1


class Running(Protocol):
    """A job's process, or its replacement in a test.

    Attributes:
        left: whether it goes on without this command.
    """

    left: bool

    def code(self) -> int | None: ...
    def stop(self, *, at_once: bool) -> None: ...
    def last_line(self) -> str: ...


Start = Callable[[Job, int], Running]  # job and number of the worker


@dataclass
class Slot:
    """The job that a worker is running."""

    job: Job
    process: Running
    since: float


class Pool:
    """Takes jobs from a plan and keeps their outcomes.

    Attributes:
        outcomes: of the jobs that have ended, those of earlier starts included.
        failures: jobs that failed twice, or whose configuration was refused, by folder.
        prices: label to how long its steps and evaluations take, as timed before the first job.
        step_seconds: label to the seconds per step of each of its finished runs.
        slots: worker number to its job.
        signum: the signal that ended it, 0 = none.
    """

    def __init__(self, plan: Plan, folder: Path, state: State, n_workers: int) -> None:
        self.plan, self.folder, self.state, self.n_workers = plan, folder, state, n_workers
        self.outcomes: dict[Key, Outcome] = {}
        self.failures: dict[str, FailedJob] = {}
        self.prices: dict[str, Price] = {}
        self.step_seconds: dict[str, list[float]] = defaultdict(list)
        self.slots: dict[int, Slot] = {}
        self.signum = 0
        self._attempts: Counter[Key] = Counter()
        self._n_signals = self._n_forwarded = 0

    def load_outcomes(self) -> None:
        """Read the outcomes of earlier starts. A run that failed then is tried again."""
        found = True
        while found:
            found = False
            for job in self.plan.todo(self.outcomes):
                outcome = self.state.outcome(*job.key) or self._read(job)
                if outcome.is_final:
                    self._note(job, outcome)
                    found = True

    def adopt(self, found: Sequence[tuple[Job, Running]]) -> None:
        """Wait for jobs that an earlier command has started and that go on without it."""
        for number, (job, running) in enumerate(found):
            self._attempts[job.key] += 1
            self.slots[number] = Slot(job, running, time.monotonic())

    def run(self, start: Start, changed: Callable[[str], None], tick: Callable[[], None]) -> None:
        """Run jobs until none is left.

        start: starts a job. changed: called after each job with a line to print. tick: called
        several times a second.
        """
        with self._signal_handlers():
            has_ended = True  # else there is nothing new to start
            while True:
                if has_ended and not self.signum:
                    self._fill(start)
                if not self.slots:
                    return
                time.sleep(POLL_SECONDS)
                self._forward_signals()
                has_ended = False
                for number, slot in list(self.slots.items()):
                    code = slot.process.code()
                    if code is not None:
                        has_ended = True
                        del self.slots[number]
                        changed(self._ended(slot, code))
                tick()

    def _fill(self, start: Start) -> None:
        """Start what can be started; a second attempt after all first ones."""
        busy = {slot.job.folder for slot in self.slots.values()}
        todo = [job for job in self.plan.todo(self.outcomes) if job.folder not in busy]
        todo.sort(key=lambda job: self._attempts[job.key])  # stable
        for number in range(self.n_workers):
            if number not in self.slots and todo:
                job = todo.pop(0)
                self._attempts[job.key] += 1
                self.slots[number] = Slot(job, start(job, number), time.monotonic())

    def _ended(self, slot: Slot, code: int) -> str:
        """Note the outcome of a job; return a line about it."""
        job = slot.job
        outcome = self._read(job)
        if outcome.is_final:
            self._note(job, outcome)
            loss = "" if outcome.loss is None else f"  val/loss {outcome.loss:.4f}"
            return f"{outcome.state:9} {job.folder}{loss}"
        if self.signum:
            return f"{'in queue' if slot.process.left else 'stopped':9} {job.folder}"
        if code == LOST:
            self._attempts[job.key] -= 1
            return f"lost      {job.folder}: {slot.process.last_line()} (goes on in another job)"
        error = outcome.error or _why(code, slot.process.last_line())
        if self._attempts[job.key] < ATTEMPTS and code not in (BAD_INPUT, GIVEN_UP):
            return f"failed    {job.folder}: {error} (will be tried again)"
        self._note(job, Outcome("failed", error=error))
        self.failures[job.folder] = FailedJob(job.folder, error, self._attempts[job.key])
        return f"given up  {job.folder}: {error}"

    def _note(self, job: Job, outcome: Outcome) -> None:
        self.outcomes[job.key] = outcome
        if outcome.seconds and outcome.step:
            self.step_seconds[job.label].append(outcome.seconds / outcome.step)
        if outcome.state == "paused":
            self.state.paused(job.folder, job.steps, outcome.loss)
            self.state.write(self.folder)

    def _read(self, job: Job) -> Outcome:
        outcome = outcome_of(self.folder / job.folder, job.overrides, job.until)
        if job.screening and outcome.state == "finished" and "val/loss" not in outcome.metrics:
            raise ValueError(
                "lr= and tune= choose by val/loss, which these data do not give; write lr=fixed"
            )
        return outcome

    def _forward_signals(self) -> None:
        """Pass the signals that have arrived on to the jobs."""
        while self._n_forwarded < self._n_signals:
            self._n_forwarded += 1
            for slot in self.slots.values():
                slot.process.stop(at_once=self._n_forwarded > 1)

    @contextmanager
    def _signal_handlers(self) -> Iterator[None]:
        """Within, a signal lets the jobs stop with a checkpoint, and a second one ends them."""

        def handle(signum: int, frame: FrameType | None) -> None:
            self.signum = signum
            self._n_signals += 1  # forwarded by the loop, which may be changing the slots now

        before = {number: signal.signal(number, handle) for number in SIGNALS}
        try:
            yield
        except BaseException:
            for slot in self.slots.values():
                slot.process.stop(at_once=True)
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _why(code: int, last_line: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", as the system does where memory runs out" if code == -signal.SIGKILL else ""
        return f"ended by {name}{hint}"
    return last_line.removeprefix("error: ") or f"exit code {code}"
