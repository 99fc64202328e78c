"""What debug= options left in a run folder for a person to read."""

from collections.abc import Iterator
from pathlib import Path

from lightning_transformer.training.debug.lr_finder import TEXT_FILE
from lightning_transformer.training.debug.profiler import profile_lines


def report_lines(folder: Path) -> Iterator[str]:
    """The lines of these reports; nothing for a usual run."""
    yield from profile_lines(folder)
    file = folder / TEXT_FILE
    if file.is_file():
        yield from file.read_text(encoding="utf-8").splitlines()
        yield f"range test {file.with_suffix('.csv')}"
