"""What is asked of a cluster's queue. Every answer may be late or missing, so none is relied on."""

from pathlib import Path
from typing import Protocol


class NotSubmitted(Exception):
    """The queue has not said that it took a job; whether it did is asked later."""


class Engine(Protocol):
    """The queue of a cluster."""

    @property
    def kind(self) -> str:
        """Its name in cluster.json."""

    def submit(self, script: str, name: str, log: Path) -> str:
        """Queue a job of this name; its number. Raises NotSubmitted."""

    def living(self) -> dict[str, str] | None:
        """Number to name of this user's jobs that wait or run; None where no answer came.

        Several jobs have one name where the queue took one twice.
        """

    def end(self, numbers: list[str], *, at_once: bool) -> None:
        """Stop jobs with a checkpoint, those that wait without; at_once: kill them."""

    def why_gone(self, number: str) -> str:
        """How a job ended, in the queue's own word such as TIMEOUT; empty where it is forgotten."""
