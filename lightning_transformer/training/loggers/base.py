"""What a logger of this project can do besides what every logger of Lightning can."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

# The final row: what a person compares, and no more.
FINAL = {
    "test/loss": "result/test_loss",
    "val/loss": "result/val_loss",
    "perf/tokens_per_s": "result/tokens_per_s",
}


@runtime_checkable
class RunLogger(Protocol):
    """A logger that shows texts, knows how a run ended, and may keep files."""

    keeps_files: bool

    def show_text(self, name: str, text: str, step: int) -> None:
        """Show a text in Markdown, such as the samples of a validation."""

    def finish(self, status: str, files: Sequence[Path]) -> None:
        """Keep copies of these files of the run folder, and close; nothing is logged afterwards.

        status: of result.json.
        """
