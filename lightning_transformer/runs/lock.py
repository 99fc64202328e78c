"""One process owns a run folder: a lock that ends with its process, and a note of who holds it."""

import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import LeaseCompromise, SoftFileLease, Timeout

from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.atomic import write_atomically

LOCK_FILE, OWNER_FILE = ".lock", ".owner.json"
LEASE = 60.0  # seconds without a sign of life after which an owner on another host is dead
PATIENCE = 0.2  # seconds to take over from a dead process of this host


@dataclass(frozen=True)
class Owner:
    """The process that writes into a run folder.

    Attributes:
        namespace: of process numbers, which a container has for itself; 0 where there are none.
        since: local time of its start.
        config_sha256: of the configuration that it runs.
    """

    host: str
    namespace: int
    pid: int
    since: str
    config_sha256: str

    @classmethod
    def this(cls, config_sha256: str) -> "Owner":
        """This process."""
        space = Path("/proc/self/ns/pid")
        namespace = space.stat().st_ino if space.exists() else 0
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        return cls(platform.node(), namespace, os.getpid(), since, config_sha256)

    def is_here(self) -> bool:
        """Whether its process number means something to this process."""
        here = Owner.this("")
        return (self.host, self.namespace) == (here.host, here.namespace)

    def __str__(self) -> str:
        place = "" if self.is_here() else f" on {self.host}"
        return f"process {self.pid}{place}, since {self.since}"


class InUse(ConfigError):
    """A folder that another process writes into.

    Attributes:
        owner: None where that process has not said yet who it is.
    """

    def __init__(self, folder: Path, owner: Owner | None) -> None:
        who = owner or "another process, which has just started"
        how = "stop it first, or choose another folder"
        if owner is not None and owner.is_here():
            how = f"stop it with `kill {owner.pid}`, or choose another folder"
        elif owner is not None:
            how += f"; if that host is gone, delete {folder / LOCK_FILE}"
        super().__init__(f"{folder} is in use ({who}); {how}")
        self.owner = owner


class RunLock:
    """Holds a run folder for this process, from `acquire` to `release` or to the process's end.

    A lock of a process that has died is taken over: at once on the same host, where the process
    number and its start tell, and after `LEASE` seconds without a sign of life from another one.
    Processes that are forked meanwhile do not hold it.
    """

    def __init__(self, folder: Path, config_sha256: str) -> None:
        self.folder = folder
        self.owner = Owner.this(config_sha256)
        self._lease = SoftFileLease(
            folder / LOCK_FILE,
            lease_duration=LEASE,
            thread_local=False,
            on_compromise=self._lost,
        )

    def acquire(self) -> None:
        """Take the folder, which is made if need be. Raises InUse where a process holds it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        before = read_owner(self.folder)
        try:
            self._lease.acquire(timeout=PATIENCE)
        except Timeout:
            if before is None or before.is_here():
                raise InUse(self.folder, before) from None
            self._wait_for(before)
        write_atomically(self.folder / OWNER_FILE, json.dumps(asdict(self.owner)))

    def _wait_for(self, owner: Owner) -> None:
        """Take over from another host once it has given no sign of life; InUse where it does."""
        print(
            f"{self.folder} is held by {owner}; waiting for up to {LEASE:.0f} s for a sign of life",
            file=sys.stderr,
            flush=True,
        )
        seen = self._beat()
        try:
            self._lease.acquire(
                timeout=2 * LEASE,
                poll_interval=LEASE / 60,
                cancel_check=lambda: self._beat() != seen,
            )
        except Timeout:
            raise InUse(self.folder, owner) from None

    def _beat(self) -> int | None:
        """The time of the owner's last sign of life; None where the lock is gone."""
        try:
            return (self.folder / LOCK_FILE).stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def release(self) -> None:
        """Let go of the folder."""
        (self.folder / OWNER_FILE).unlink(missing_ok=True)
        self._lease.release()

    def _lost(self, loss: LeaseCompromise) -> None:
        """Leave at once where another process has taken the folder over: two must not write."""
        if loss.reason == "owner-changed":
            print(
                f"error: {self.folder} was taken over by {read_owner(self.folder)}; leaving it",
                file=sys.stderr,
                flush=True,
            )
            os._exit(1)


def read_owner(folder: Path) -> Owner | None:
    """Who holds a folder, or held it when it died; None where nobody has said so."""
    try:
        content = json.loads((folder / OWNER_FILE).read_text(encoding="utf-8"))
        return Owner(**{key: kind(content[key]) for key, kind in Owner.__annotations__.items()})
    except (OSError, ValueError, TypeError, KeyError):
        return None
