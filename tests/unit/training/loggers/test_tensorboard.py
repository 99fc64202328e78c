"""logger=tensorboard."""

from __future__ import annotations

from pathlib import Path

from lightning_transformer.training.loggers.tensorboard import tensorboard


def test_event_files_are_in_the_run_folder_itself(tmp_path: Path) -> None:
    (logger,) = tensorboard(tmp_path)
    logger.log_metrics({"train/loss": 1.0}, step=1)
    logger.save()
    (file,) = tmp_path.glob("events.out.tfevents.*")
    assert file.stat().st_size > 0
