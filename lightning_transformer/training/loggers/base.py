"""What a logger of this project can do besides what every logger of Lightning can."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

# The final row of every run; a test adds its other metrics.
FINAL = {
    "test/loss": "result/test_loss",
    "val/loss": "result/val_loss",
    "perf/tokens_per_s": "result/tokens_per_s",
}


def final_row(metrics: Iterable[str]) -> dict[str, str]:
    """Metric to its place in the final row: that of FINAL, and every other one of the test."""
    tests = [name for name in metrics if name.startswith("test/") and name not in FINAL]
    return FINAL | {name: f"result/{name.replace('/', '_')}" for name in tests}


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
