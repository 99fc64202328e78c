"""The process that loads everything once and forks the jobs of `compare run`; see launch.py.

It reads a line of JSON per order and writes one per job that has ended. It trains nothing, so what
it forks is always the same. When its input ends it goes, and its jobs stop with a checkpoint.
"""

import gc
import importlib
import json
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from typing import Any, NoReturn

from lightning_transformer.cli import main as cli
from lightning_transformer.compare.run.job import leave_at_end_of

LOADED = ("lightning_transformer.training.run", "hydra._internal.utils")
LOOK = 0.05  # seconds between two looks at the jobs


class Nursery:
    """orders: file to read orders from; reports: file to tell the ends of jobs."""

    def __init__(self, orders: int, reports: int) -> None:
        self.orders, self.reports = orders, reports
        self.jobs: dict[int, int] = {}  # process to number
        # Its writing end is held by this process alone: jobs see its end when it is gone.
        self.watched, self.held = os.pipe()

    def serve(self) -> None:
        """Work until the orders end."""
        half = b""
        while True:
            if select.select([self.orders], [], [], LOOK)[0]:
                part = os.read(self.orders, 65536)
                if not part:
                    return
                *lines, half = (half + part).split(b"\n")
                for line in lines:
                    self.obey(json.loads(line))
            self.reap()

    def obey(self, order: dict[str, Any]) -> None:
        """Start a job, or send a signal to one that still is there."""
        if "signal" not in order:
            self.fork(order)
            return
        for pid, number in self.jobs.items():
            if number == order["job"]:
                os.kill(pid, order["signal"])

    def fork(self, order: dict[str, Any]) -> None:
        pid = os.fork()
        if pid == 0:
            self.become(order)
        self.jobs[pid] = order["job"]

    def become(self, order: dict[str, Any]) -> NoReturn:
        """Be the job, from here to the end of the process. `reports` stays open: see launch.py."""
        code = 1
        try:
            os.close(self.held)
            log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for new, old in ((nothing, 0), (log, 1), (log, 2)):
                os.dup2(new, old)
            threading.Thread(target=leave_at_end_of, args=[self.watched], daemon=True).start()
            sys.argv = ["lightning_transformer", *order["arguments"]]
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            with suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def reap(self) -> None:
        """Tell of the jobs that have ended."""
        while self.jobs:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            report = {"job": self.jobs.pop(pid), "code": os.waitstatus_to_exitcode(status)}
            os.write(self.reports, json.dumps(report).encode() + b"\n")


def main() -> None:
    """Load, then serve."""
    reports = os.dup(1)
    os.dup2(2, 1)  # whatever prints while loading
    for module in LOADED:
        importlib.import_module(module)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    gc.freeze()  # what is shared stays shared
    Nursery(0, reports).serve()


if __name__ == "__main__":
    main()
