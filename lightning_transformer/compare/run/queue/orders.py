"""What a job of the queue is told, and what it answers: files in the comparison's folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lightning_transformer.compare.run.queue.record import PLACE
from lightning_transformer.runs.atomic import write_atomically
from lightning_transformer.runs.typed_json import read_typed

SCHEMA = 1
EXITS = "exits"  # folder of exit statuses
CLAIMS = "claims"
BUSY = 75  # exit status of a run whose folder another job holds
STUCK = 76  # exit status of a run that restarts do not bring on
STARTS = "starts"  # folder of how far each run was at each of its starts


@dataclass
class RunOrder:
    """A run of a job.

    Attributes:
        folder: of the run, below the comparison's.
        arguments: of the command line.
        chain: see `QueuedRun`.
        exit_name: of the file with its exit status.
    """

    folder: str
    arguments: list[str]
    chain: str
    exit_name: str


@dataclass
class Orders:
    """What one job of the queue is to do.

    Attributes:
        sweep: the comparison's folder, absolute.
        engine: kind of the queue.
        code: digest that the code has to have; commit: where it was checked out.
        threads: of each run.
        gpus: of the job.
    """

    sweep: str
    engine: str
    code: str
    commit: str
    token: str
    runs: list[RunOrder]
    threads: int = 1
    gpus: int = 0

    @property
    def place(self) -> Path:
        return Path(self.sweep) / PLACE

    @property
    def file(self) -> Path:
        return orders_file(self.place, self.token)

    @property
    def cancel_file(self) -> Path:
        """Where it is, the runs are to stop for good, and not to be queued again."""
        return cancel_file(self.place, self.token)

    def write(self) -> None:
        for name in (EXITS, CLAIMS, STARTS):
            (self.place / name).mkdir(parents=True, exist_ok=True)
        content = {"schema": SCHEMA, **asdict(self)}
        write_atomically(self.file, json.dumps(content, indent=2) + "\n")


def orders_file(place: Path, token: str) -> Path:
    return place / f"{token}.json"


def cancel_file(place: Path, token: str) -> Path:
    return place / f"{token}.cancelled"


def read_orders(file: Path) -> Orders:
    """Raises ValueError, in one line, for a file of another version."""
    return read_typed(Orders, file, SCHEMA)


@dataclass(frozen=True)
class Exit:
    """How a run of a job has ended.

    Attributes:
        code: exit status.
        line: what to say of it; empty where the last line of its log says that.
    """

    code: int
    line: str = ""


def write_exit(place: Path, name: str, found: Exit) -> None:
    """Leave an exit status, completely or not at all."""
    (place / EXITS).mkdir(parents=True, exist_ok=True)
    write_atomically(place / EXITS / name, json.dumps(asdict(found)))


def read_exit(place: Path, name: str) -> Exit | None:
    """The exit status that a run has left, or None."""
    try:
        content = json.loads((place / EXITS / name).read_text(encoding="utf-8"))
        return Exit(int(content["code"]), str(content["line"]))
    except FileNotFoundError:
        return None
