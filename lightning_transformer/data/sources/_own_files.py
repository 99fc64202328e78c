"""The options of sources that read one file of the user, and may read others for val and test."""

from dataclasses import dataclass
from pathlib import Path

from lightning_transformer.data.base import DataModule
from lightning_transformer.data.files import matching_files
from lightning_transformer.data.holdout import fractions_to_cut


@dataclass(kw_only=True, eq=False)
class OwnFiles(DataModule):
    """A file of the user, of which fractions are held out unless val and test have files.

    Raises ValueError for impossible fractions.
    """

    path: str
    val_fraction: float = 0.1
    test_fraction: float = 0.1
    val_path: str | None = None
    test_path: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fractions = fractions_to_cut(
            self.val_fraction, self.test_fraction, self.val_path, self.test_path
        )
        paths = {"val": self.val_path, "test": self.test_path}
        self.held_out = {split: path for split, path in paths.items() if path}

    def inputs(self) -> list[Path]:
        """Return the files that are read."""
        given = {"data.path": self.path}
        given |= {f"data.{split}_path": path for split, path in self.held_out.items()}
        return [file for key, path in given.items() for file in matching_files(path, key=key)]
