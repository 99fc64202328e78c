"""A run in the queue, as the scheduler sees it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lightning_transformer.compare.run.outcome import Job
from lightning_transformer.compare.run.queue.in_job.status import STOPPED
from lightning_transformer.compare.run.queue.orders import Exit
from lightning_transformer.compare.run.queue.record import QueuedRun


class Queue(Protocol):
    """What a run needs of the queue: see `JobQueue`."""

    def look(self) -> None: ...
    def stop(self, *, at_once: bool) -> None: ...


@dataclass
class InQueue:
    """A run of the comparison in a job of the queue; a `Running`."""

    queue: "Queue"
    job: Job
    run: QueuedRun
    log: Path
    exit: Exit | None = None
    left: bool = False

    def code(self) -> int | None:
        """The exit status, None while it waits or runs, or while nothing is known."""
        self.queue.look()
        if self.exit is None:
            return STOPPED if self.left else None
        return self.exit.code

    def stop(self, *, at_once: bool) -> None:
        self.queue.stop(at_once=at_once)

    def last_line(self) -> str:
        """Why it ended."""
        if self.exit is not None and self.exit.line:
            return self.exit.line
        if not self.log.exists():
            return ""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
