"""logger=tensorboard: event files in the run folder."""

import struct
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from lightning_transformer.training.loggers.base import FINAL


class TensorBoard(TensorBoardLogger):
    """Event files in the run folder itself: TensorBoard shows runs by their folder's name.

    The HParams tab has a row per run, opened with what tells it from others and filled at its end.

    save_dir: the run folder.
    """

    keeps_files = False

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir, name="", version="", default_hp_metric=False)

    @rank_zero_only
    def log_hyperparams(
        self,
        params: dict[str, Any] | Namespace,
        metrics: dict[str, Any] | None = None,
        step: int | None = None,
    ) -> None:
        """Open the row; as text, so that the tab offers the values themselves and no ranges."""
        texts = {key: str(value) for key, value in dict(params).items()}
        columns = metrics or dict.fromkeys(FINAL.values(), float("nan"))
        super().log_hyperparams(texts, columns, step)

    @rank_zero_only
    def show_text(self, name: str, text: str, step: int) -> None:
        """In the Text tab."""
        self.experiment.add_text(name, text, step)

    @rank_zero_only
    def show_picture(self, name: str, png: bytes, step: int) -> None:
        """In the Images tab, as it is."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        width, height = struct.unpack(">II", png[16:24])
        picture = Summary.Image(encoded_image_string=png, width=width, height=height, colorspace=4)
        summary = Summary(value=[Summary.Value(tag=name, image=picture)])
        self.experiment._get_file_writer().add_summary(summary, step)

    def finish(self, status: str, files: Sequence[Path]) -> None:
        """Write what is still in memory; TensorBoard keeps no files."""
        self.finalize("success")
