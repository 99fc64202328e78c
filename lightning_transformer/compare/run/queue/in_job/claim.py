"""A run's folder, claimed by a job of the queue: `flock` does not reach other machines.

A claim is a file that is created exclusively and names the job. Claims of a folder are numbered:
the highest one holds, and one takes a dead owner's place by creating the next, which only one can.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

Lives = Callable[["Claimant"], bool | None]  # None where nobody could say
PATIENCE = 60.0  # seconds to ask again where no answer came
EVERY = 5.0


@dataclass(frozen=True)
class Claimant:
    """A job: the queue's number, how often it was started again, where it runs, its token."""

    number: str
    restart: int
    node: str
    token: str = ""

    def __str__(self) -> str:
        return f"job {self.number} (restart {self.restart}) on {self.node}"


UNKNOWN = Claimant("unknown", 0, "an unknown node")


@dataclass(frozen=True)
class Refused:
    """Why a folder could not be claimed: a living owner, or one whom nobody knows of."""

    owner: Claimant
    file: Path
    lives: bool

    def __str__(self) -> str:
        if self.lives:
            return f"its folder is held by {self.owner}, which the queue says is alive"
        return (
            f"its folder is held by {self.owner}, and the queue does not answer whether that is "
            f"alive; if it is not, delete {self.file}"
        )


def claim(place: Path, folder: str, me: Claimant, lives: Lives) -> Refused | None:
    """Take the run folder for a job; None if it is ours now. place: where claims are kept."""
    place.mkdir(parents=True, exist_ok=True)
    stem = hashlib.sha256(folder.encode()).hexdigest()[:16]
    end = time.monotonic() + PATIENCE
    while True:
        newest = max(_numbers(place, stem), default=0)
        if not newest or _is_free(file := place / f"{stem}.{newest}", me, lives):
            if _create(place / f"{stem}.{newest + 1}", me):
                return None
            continue
        owner = _owner(file) or UNKNOWN
        if owner != UNKNOWN and lives(owner):
            return Refused(owner, file, lives=True)
        if time.monotonic() > end:
            return Refused(owner, file, lives=False)
        time.sleep(EVERY if owner != UNKNOWN else 0.1)  # one without an owner was given up just now


def _is_free(file: Path, me: Claimant, lives: Lives) -> bool:
    """Whether a claim is that of an earlier start of this job, or of a job that has ended."""
    owner = _owner(file)
    return owner is not None and (owner.number == me.number or lives(owner) is False)


def release(place: Path, folder: str, me: Claimant) -> None:
    """Give up the claims of this job."""
    stem = hashlib.sha256(folder.encode()).hexdigest()[:16]
    for number in _numbers(place, stem):
        file = place / f"{stem}.{number}"
        owner = _owner(file)
        if owner is not None and owner.number == me.number:
            file.unlink(missing_ok=True)


def _numbers(place: Path, stem: str) -> list[int]:
    return [int(file.suffix[1:]) for file in place.glob(f"{stem}.*") if file.suffix[1:].isdigit()]


def _create(file: Path, me: Claimant) -> bool:
    """Whether the file was created by this call."""
    try:
        number = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(number, "w", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(me)))
    return True


def _owner(file: Path) -> Claimant | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return Claimant(
            **{key: kind(content[key]) for key, kind in Claimant.__annotations__.items()}
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
