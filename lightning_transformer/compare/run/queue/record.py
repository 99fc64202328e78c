"""cluster.json, beside plan.json: the runs in the queue, which the same command adopts."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.atomic import write_atomically
from lightning_transformer.runs.typed_json import read_typed

RECORD_FILE = "cluster.json"
SCHEMA = 1
PLACE = ".cluster"  # in the comparison's folder: what its jobs and the command tell each other
PREFIX = "lt-"  # of the names of jobs


@dataclass
class QueuedRun:
    """A run in a job of the queue.

    Attributes:
        folder, until: `Job.key`.
        chain: what its starts, in this job and in those that take its place, are counted by.
    """

    folder: str
    until: int | None
    chain: str


@dataclass
class Allocation:
    """A job of the queue, with a run in it or, with pack=, several.

    Attributes:
        number: the queue's; empty while it is not known whether the queue took it.
    """

    runs: list[QueuedRun]
    number: str = ""


@dataclass
class QueueRecord:
    """The content of cluster.json.

    Attributes:
        engine: the queue's kind.
        code: digest of the code that all runs have; commit: where it was checked out.
        allocations: by the token that the name of the job ends in.
    """

    engine: str
    code: str
    commit: str
    allocations: dict[str, Allocation] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        content = {"schema": SCHEMA, **asdict(self)}
        write_atomically(folder / RECORD_FILE, json.dumps(content, indent=2) + "\n")

    @property
    def jobs(self) -> str:
        """The jobs by number, for messages."""
        numbers = [one.number or "one without a number" for one in self.allocations.values()]
        shown = ", ".join(numbers[:5]) + (" .." if len(numbers) > 5 else "")
        return f"job{'s' if len(numbers) > 1 else ''} {shown}"


def read_record(folder: Path) -> QueueRecord | None:
    """The record of a comparison; None where none of its runs was ever queued."""
    if not (folder / RECORD_FILE).exists():
        return None
    try:
        return read_typed(QueueRecord, folder / RECORD_FILE, SCHEMA)
    except ValueError as error:
        raise ConfigError(f"{error}; choose another name=") from None


def check_nothing_queued(folder: Path, name: str) -> None:
    """Refuse to run here what may run in a queue at the same time."""
    record = read_record(folder)
    if record is not None and record.allocations:
        raise ConfigError(
            f"{record.jobs} of {record.engine} may be at the runs of name={name}; go on with "
            f"launcher={record.engine}, or end them with compare cancel {name}"
        )
