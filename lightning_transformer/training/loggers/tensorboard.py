"""logger=tensorboard: event files in the run folder."""

from pathlib import Path

from lightning.pytorch.loggers import Logger, TensorBoardLogger


def tensorboard(folder: Path) -> list[Logger]:
    """Event files in the run folder itself: TensorBoard shows runs by their folder's name."""
    return [TensorBoardLogger(folder, name="", version="", default_hp_metric=False)]
