"""The contract of a launcher."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from lightning_transformer.compare.run.ask import Ask
from lightning_transformer.compare.run.machine import Machine
from lightning_transformer.compare.run.outcome import Job
from lightning_transformer.compare.run.scheduler import Pool, Start
from lightning_transformer.compare.run.variants import Variant

Compose = Callable[[Job], list[str]]  # the arguments of the command line that do a job
Say = Callable[[str], None]


class Launcher(ABC):
    """Says where the runs of a comparison are done. It changes no result."""

    @abstractmethod
    def on_gpus(self) -> bool:
        """Whether runs that ask for no accelerator see a GPU."""

    @abstractmethod
    def machine(
        self,
        variants: Sequence[Variant],
        n_jobs: int,
        workers: int | None,
        threads: int | None,
    ) -> Machine:
        """How many jobs at a time, and the threads of each. Starts and writes nothing.

        workers: as typed. threads: of a comparison that continues.
        Raises ValueError, in one line, for jobs that cannot be started so.
        """

    @abstractmethod
    def asking(self, folder: Path, machine: Machine, say: Say) -> Ask:
        """Asks programs that load torch, on a machine of the kind that the runs are done on."""

    @abstractmethod
    def starting(
        self, pool: Pool, machine: Machine, compose: Compose, lock: int, say: Say
    ) -> AbstractContextManager[Start]:
        """Within, jobs of the pool can be started.

        lock: a file descriptor that jobs of this machine keep open.
        """
