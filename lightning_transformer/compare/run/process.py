"""Starts each job of a comparison in a process of its own that has run nothing before.

Loading torch and Lightning takes seconds, as long as a small run. On Linux, where no GPU is used,
the fork server of `multiprocessing` loads them once; it trains nothing, so no job depends on what
ran before. With a GPU, and on other systems, where forking is not safe, each job is a new
interpreter.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver, reduction, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

PRELOAD = [
    __name__,
    "lightning_transformer.tasks.light_torchmetrics",
    "lightning_transformer.training.run",
    "hydra._internal.utils",
]
GRACE = 60.0  # seconds a job has to stop with a checkpoint after its parent has died
SERVER_LOST = 255  # the exit code that multiprocessing gives for jobs of a fork server that died
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class ProcessStarter:
    """Starts `python -m lightning_transformer ARGUMENTS` in new processes.

    Attributes:
        lock: file descriptor that stays open while a job lives.
        preload: whether jobs are forked from a server that has loaded torch. The environment of
            its first job is that of all its jobs.
    """

    lock: int
    preload: bool

    def start(self, arguments: Sequence[str], env: Mapping[str, str], log: Path) -> "Process":
        """Start a job; its output is appended to the log."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as stream:  # after the output of a first attempt
            stream.write(f"$ lightning_transformer {' '.join(arguments)}\n")
        context = self._context(env)
        alive, end = context.Pipe(duplex=False)  # reads its end when the job is gone
        args = (list(arguments), dict(env), str(log.absolute()), Descriptor(self.lock), end)
        child = context.Process(target=run_job, args=args, daemon=False)
        if self.preload:  # the server has its signals blocked: no need to block ours meanwhile
            child.start()
        else:
            with environment(env), blocked_signals():
                child.start()
        end.close()
        return Process(child, alive, log)

    def _context(self, env: Mapping[str, str]) -> ForkServerContext | SpawnContext:
        if not self.preload:
            return multiprocessing.get_context("spawn")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        with environment(env), blocked_signals():
            forkserver.ensure_running()
        return context


@dataclass
class Process:
    """A job's process; `alive` is a pipe whose other end only the job holds."""

    child: BaseProcess
    alive: Connection
    log: Path
    left: bool = False  # a job stops with its parent

    def code(self) -> int | None:
        """The exit status, or None while it runs.

        A job whose fork server died continues; it has ended only when its pipe is closed.
        """
        code = self.child.exitcode
        return None if code == SERVER_LOST and not self.alive.poll() else code

    def stop(self, *, at_once: bool) -> None:
        """Ask it to stop with a checkpoint, or kill it."""
        if self.code() is None and self.child.pid is not None:
            try:
                os.kill(self.child.pid, signal.SIGKILL if at_once else signal.SIGTERM)
            except ProcessLookupError:
                return  # it has ended in between

    def last_line(self) -> str:
        """The last line that the job wrote."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


class Descriptor:
    """A file descriptor that can be pickled for a child process."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[object, ...]:
        return _received, (reduction.DupFd(self.number),)


def _received(sent: Any) -> Descriptor:
    return Descriptor(sent.detach())


@contextmanager
def environment(env: Mapping[str, str]) -> Iterator[None]:
    """Processes started within have this environment; torch reads it when it is loaded."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Processes started within begin with Ctrl-C and SIGTERM blocked; see `own_session`."""
    resource_tracker.ensure_running()  # it unblocks them where it starts later
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_job(
    arguments: list[str], env: dict[str, str], log: str, lock: Descriptor, alive: Connection
) -> None:
    """The job, in its process; lock and alive stay open as long as it lives."""
    own_session()
    os.environ.clear()
    os.environ.update(env)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for new, old in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(new, old)
    threading.Thread(target=stop_with_parent, daemon=True).start()
    sys.argv = ["lightning_transformer", *arguments]
    from lightning_transformer.cli.main import main

    main()


def own_session() -> None:
    """Leave the terminal, so that Ctrl-C reaches the parent alone; drop signals received before."""
    os.setsid()
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def stop_with_parent() -> None:
    """Wait until the parent command has died; then stop, with a checkpoint where possible."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)
