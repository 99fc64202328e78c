"""Starting jobs: each in a process of its own that has run nothing before.

Loading torch and Lightning takes seconds, as long as a small run. On Linux, where no GPU is used, a
process loads them once and then only forks: a job is a copy of a process that has loaded and done
nothing, so that no number can depend on what ran before. With a GPU, and elsewhere, each job loads
by itself, for neither a driver nor other systems' libraries can be forked.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

HOUSE = "lightning_transformer.compare.run"


class Launcher(Protocol):
    """Starts what would be typed after `python -m lightning_transformer`, its words in a file."""

    def start(self, arguments: Sequence[str], env: Mapping[str, str], log: Path) -> "Process": ...
    def close(self) -> None: ...


class Process(Protocol):
    """A run's process."""

    def code(self) -> int | None: ...
    def stop(self, *, at_once: bool) -> None: ...
    def last_line(self) -> str: ...


def launcher(lock: int, *, gpus: bool) -> Launcher:
    """The fastest way that is sound here. lock: a file that stays open while a job lives."""
    return Forking(lock) if sys.platform == "linux" and not gpus else Fresh(lock)


def last_line(log: Path) -> str:
    """The last line that a job wrote."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def begin_log(log: Path, arguments: Sequence[str]) -> None:
    """Write what is started; a second attempt stands below the first."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream:
        stream.write(f"$ lightning_transformer {' '.join(arguments)}\n")


@dataclass
class Fresh:
    """A new interpreter for each job."""

    lock: int

    def start(self, arguments: Sequence[str], env: Mapping[str, str], log: Path) -> "FreshJob":
        begin_log(log, arguments)
        with log.open("ab") as stream:
            child = subprocess.Popen(
                [sys.executable, "-m", f"{HOUSE}.job", *arguments],
                stdin=subprocess.PIPE,  # its end tells the job that we are gone
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=dict(env),
                pass_fds=(self.lock,),
                start_new_session=True,  # a Ctrl-C in the terminal is ours to hand on, once
            )
        return FreshJob(child, log)

    def close(self) -> None:
        """Nothing stays."""


@dataclass
class FreshJob:
    """A job in an interpreter of its own."""

    child: "subprocess.Popen[bytes]"
    log: Path

    def code(self) -> int | None:
        return self.child.poll()

    def stop(self, *, at_once: bool) -> None:
        """Ask it to stop with a checkpoint, or end it."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGKILL if at_once else signal.SIGTERM)

    def last_line(self) -> str:
        return last_line(self.log)


class Forking:
    """Jobs forked from one process that has loaded everything; see nursery.py for its side."""

    def __init__(self, lock: int) -> None:
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None
        self._half = b""  # of a line that is still coming
        self._codes: dict[int, int] = {}  # of jobs, by number
        self._open: set[int] = set()
        self._count = 0

    def start(self, arguments: Sequence[str], env: Mapping[str, str], log: Path) -> "ForkedJob":
        begin_log(log, arguments)
        self._count += 1
        self._open.add(self._count)
        if self._process is None:
            self._load(env)
        self._tell({"job": self._count, "arguments": list(arguments), "log": str(log.absolute())})
        return ForkedJob(self, self._count, log)

    def _load(self, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{HOUSE}.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(env),
            pass_fds=(self._lock,),
            start_new_session=True,
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def _tell(self, what: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it is gone, which `code` learns

    def code(self, number: int) -> int | None:
        """The exit status of a job, or None while it runs."""
        self._listen()
        return self._codes.get(number)

    def _listen(self) -> None:
        """Take in which jobs have ended.

        The jobs too hold the pipe, so its end means that they all are gone with the nursery.
        """
        if self._process is None:
            return
        assert self._process.stdout is not None
        while True:
            try:
                part = os.read(self._process.stdout.fileno(), 65536)
            except BlockingIOError:
                return
            if not part:
                break
            *lines, self._half = (self._half + part).split(b"\n")
            for line in lines:
                said = json.loads(line)
                self._codes[said["job"]] = said["code"]
                self._open.discard(said["job"])
        code = self._process.wait()  # of loading, if it got no further
        self._codes |= dict.fromkeys(self._open, code or -signal.SIGKILL)
        self._open.clear()
        self.close()

    def stop(self, number: int, *, at_once: bool) -> None:
        """Ask a job to stop with a checkpoint, or end it."""
        if number in self._open and self._process is not None:
            self._tell({"job": number, "signal": signal.SIGKILL if at_once else signal.SIGTERM})

    def close(self) -> None:
        """Let the process go; jobs that still run stop with a checkpoint."""
        if self._process is None:
            return
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                continue
        self._process.wait()
        self._process, self._half = None, b""


@dataclass
class ForkedJob:
    """A job that was forked."""

    parent: Forking
    number: int
    log: Path

    def code(self) -> int | None:
        return self.parent.code(self.number)

    def stop(self, *, at_once: bool) -> None:
        self.parent.stop(self.number, at_once=at_once)

    def last_line(self) -> str:
        return last_line(self.log)
