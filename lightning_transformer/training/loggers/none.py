"""logger=none: metrics.csv only."""

from pathlib import Path

from lightning.pytorch.loggers import Logger


def none(folder: Path) -> list[Logger]:
    """No logger beside the CSV, which is always written."""
    return []
