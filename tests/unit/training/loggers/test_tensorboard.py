"""logger=tensorboard."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_transformer.runs.result import RunResult
from lightning_transformer.training.loggers.base import FINAL, RunLogger, final_row
from lightning_transformer.training.loggers.lifecycle import log_end, log_start
from lightning_transformer.training.loggers.tensorboard import TensorBoard


def test_event_files_are_in_the_run_folder_itself(tmp_path: Path) -> None:
    logger = TensorBoard(str(tmp_path))
    logger.log_metrics({"train/loss": 1.0}, step=1)
    logger.finish("finished", [])
    (file,) = tmp_path.glob("events.out.tfevents.*")
    assert file.stat().st_size > 0


def test_a_row_of_hyperparameters_has_a_column_for_each_final_value(tmp_path: Path) -> None:
    logger = TensorBoard(str(tmp_path))
    assert isinstance(logger, RunLogger)
    logger.log_hyperparams({"norm": "rmsnorm", "optimizer.lr": 3e-3})
    logger.log_metrics({"result/test_loss": 2.5}, step=6)
    logger.show_text("samples", "    one", 3)
    logger.finish("finished", [])
    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    events.Reload()
    start = events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    for text in (b"norm", b"rmsnorm", b"optimizer.lr", b"0.003"):
        assert text in start
    columns = events.PluginTagToContent("hparams")["_hparams_/experiment"]
    assert all(tag.encode() in columns for tag in FINAL.values())
    assert events.Scalars("result/test_loss")[-1].value == 2.5
    assert events.Tensors("samples/text_summary")[0].step == 3


def test_the_row_begins_with_what_was_compared_and_has_every_metric_of_the_test(
    tmp_path: Path,
) -> None:
    logger, metrics = TensorBoard(str(tmp_path)), {"test/loss": 2.5, "test/accuracy": 0.75}
    log_start([logger], {"norm": "dyt", "n_params": "10"}, {}, list(metrics))
    log_end([logger], RunResult(steps=6, metrics={**metrics, "val/loss": 2.0, "val/accuracy": 0.5}))
    logger.finish("finished", [])
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    columns = events.PluginTagToContent("hparams")["_hparams_/experiment"]
    assert columns.index(b"norm") < columns.index(b"n_params")
    assert b"result/test_accuracy" in columns
    assert events.Scalars("result/test_accuracy")[-1].value == 0.75
    assert "result/val_accuracy" not in events.Tags()["scalars"]


def test_the_final_row_starts_with_the_losses() -> None:
    assert list(final_row(["test/accuracy", "test/loss"]).values()) == [
        *FINAL.values(),
        "result/test_accuracy",
    ]
