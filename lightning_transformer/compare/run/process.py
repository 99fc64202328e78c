"""The processes of jobs: each trains in a process of its own in which nothing ran before.

Loading torch and Lightning takes seconds, as long as a small run. On Linux, where no GPU is used,
multiprocessing's fork server loads them once and forks each job from a process that has done
nothing else, so no number depends on what ran before. With a GPU, and on other systems, each job is
a new interpreter, because neither a driver nor other systems' libraries can be forked.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import connection, reduction
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

PRELOADED = ["lightning_transformer.training.run", "hydra._internal.utils"]
GRACE = 60.0  # seconds in which a step has to end
LOOK = 0.5  # seconds between two checks that the fork server is alive
LOST = 255  # multiprocessing's exit code of a process whose fork server has died


class Process(Protocol):
    """A run's process."""

    def code(self) -> int | None: ...
    def stop(self, *, at_once: bool) -> None: ...
    def last_line(self) -> str: ...


class Launcher:
    """Starts runs by what would be typed after `python -m lightning_transformer`.

    lock: a file descriptor that each job keeps open while it lives.
    fork: whether jobs are forked from a process that has loaded torch.
    """

    def __init__(self, lock: int, *, fork: bool) -> None:
        self._lock = lock
        self._context: Any = multiprocessing.get_context("forkserver" if fork else "spawn")
        if fork:
            self._context.set_forkserver_preload(PRELOADED)

    def start(self, arguments: Sequence[str], env: Mapping[str, str], log: Path) -> "JobProcess":
        """Start a run in an environment; a second attempt stands below the first in the log."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"$ lightning_transformer {' '.join(arguments)}\n")
        process = self._context.Process(
            target=run_job, args=(list(arguments), str(log.absolute()), Inherited(self._lock))
        )
        with environment_of(env):  # libraries read it while they load, before run_job begins
            process.start()
        return JobProcess(process, log)


def launcher(lock: int, *, gpus: bool) -> Launcher:
    """The fastest way that is sound on this machine."""
    return Launcher(lock, fork=sys.platform == "linux" and not gpus)


class JobProcess:
    """A run's process and its log."""

    def __init__(self, process: BaseProcess, log: Path) -> None:
        self._process, self._log = process, log

    def code(self) -> int | None:
        """The exit status, or None while it runs; negative for a signal."""
        code = self._process.exitcode
        if code != LOST:
            return code
        # The fork server has died; the job notices and stops, but nobody collects its status.
        return None if _runs(self._process.pid) else -signal.SIGKILL

    def stop(self, *, at_once: bool) -> None:
        """Ask it to stop with a checkpoint, or end it."""
        if self.code() is None and self._process.pid is not None:
            os.kill(self._process.pid, signal.SIGKILL if at_once else signal.SIGTERM)

    def last_line(self) -> str:
        """The last line that it wrote."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


class Inherited:
    """A file descriptor that is sent to a child process with its arguments."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return _received, (reduction.DupFd(self.number),)


def _received(sent: Any) -> Inherited:
    return Inherited(sent.detach())


def run_job(arguments: Sequence[str], log: str, lock: Inherited) -> None:
    """Be the command line, in a child process. The lock stays open until the process ends."""
    os.setsid()  # a Ctrl-C in the terminal reaches jobs once, through the scheduler
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for new, old in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(new, old)
    threading.Thread(target=_stop_without_parent, daemon=True).start()
    from lightning_transformer.cli.main import main  # Hydra, which the parent does not need

    sys.argv = ["lightning_transformer", *arguments]
    main()


def _stop_without_parent() -> None:
    """Stop, with a checkpoint where it can, when the command or the fork server is gone."""
    command, server = multiprocessing.parent_process(), os.getppid()
    assert command is not None
    while not connection.wait([command.sentinel], timeout=LOOK) and os.getppid() == server:
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)


def _runs(pid: int | None) -> bool:
    """Whether a process of this number runs; one that nobody waits for is a zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


@contextmanager
def environment_of(env: Mapping[str, str]) -> Iterator[None]:
    """Within, `os.environ` is `env`."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
