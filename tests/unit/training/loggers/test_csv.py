import math
import os

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.utilities import rank_zero_only
from torch import nn
from torch.utils.data import DataLoader

from lightning_transformer.runs.result import read_history
from lightning_transformer.training.loggers import csv as history_module
from lightning_transformer.training.loggers.csv import History


def lines(folder) -> list[list[str]]:
    """Return the cells of the file without the column of seconds."""
    rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    return [row[:1] + row[2:] for row in rows]


@pytest.fixture
def replaced(monkeypatch):
    """Count how often the file is replaced as a whole."""
    calls = []
    write = history_module.write_atomically
    monkeypatch.setattr(
        history_module, "write_atomically", lambda *args: (calls.append(args), write(*args))
    )
    return calls


def test_rows_are_appended_and_columns_come_in_order_of_appearance(tmp_path, replaced):
    log = History(tmp_path / "run").log_metrics
    log({"train/loss": 3.0, "epoch": 0}, step=0)
    assert lines(tmp_path / "run") == [["step", "train/loss"], ["0", "3.0"]]
    log({"train/loss": 0.1 + 0.2}, step=10)
    assert len(replaced) == 1
    log({"val/loss": 2.5, "train/loss": 1.0}, step=20)
    assert len(replaced) == 2
    log({"val/loss": 2.0}, step=30)
    log({"count": 7}, step=40)
    assert lines(tmp_path / "run") == [
        ["step", "train/loss", "val/loss", "count"],
        ["0", "3.0", "", ""],
        ["10", "0.30000000000000004", "", ""],
        ["20", "1.0", "2.5", ""],
        ["30", "", "2.0", ""],
        ["40", "", "", "7"],
    ]
    assert len(replaced) == 3
    assert os.listdir(tmp_path / "run") == ["metrics.csv"]


def test_values_of_one_step_share_a_row_without_a_rewrite(tmp_path, replaced):
    log = History(tmp_path).log_metrics
    log({"lr": 1.0, "loss": 123456.789}, step=0)
    for step in range(1, 5):
        log({"lr": 0.5}, step=step)
        log({"loss": float(step)}, step=step)
    log({"loss": 4.123456789}, step=4)
    log({"loss": 9.0}, step=4)  # again, and shorter: the last value stands
    assert len(replaced) == 1
    assert lines(tmp_path)[1:] == [
        ["0", "1.0", "123456.789"],
        ["1", "0.5", "1.0"],
        ["2", "0.5", "2.0"],
        ["3", "0.5", "3.0"],
        ["4", "0.5", "9.0"],
    ]
    log({"loss": 5.0}, step=5)
    assert lines(tmp_path)[-1] == ["5", "", "5.0"]


def test_a_step_out_of_order_finds_its_place(tmp_path):
    log = History(tmp_path).log_metrics
    for step in (0, 10, 20):
        log({"loss": float(step)}, step=step)
    log({"loss": 5.0}, step=5)
    log({"val": 1.0}, step=10)
    log({"loss": 30.0}, step=30)
    assert lines(tmp_path)[1:] == [
        ["0", "0.0", ""],
        ["5", "5.0", ""],
        ["10", "10.0", "1.0"],
        ["20", "20.0", ""],
        ["30", "30.0", ""],
    ]


def test_what_is_logged_is_read_exactly(tmp_path):
    log = History(tmp_path).log_metrics
    values = [0.1, 1e-300, -1 / 3, 1e22, math.pi]
    for step, value in enumerate(values):
        log({"a,b": value, "t": torch.tensor(value, dtype=torch.float64)}, step=step)
    log({"a,b": math.nan, "t": math.inf}, step=9)
    history = read_history(tmp_path)
    assert history["a,b"][:-1] == list(enumerate(values))
    assert math.isnan(history["a,b"][-1][1])
    assert history["t"] == [*enumerate(values), (9, math.inf)]


def test_seconds_rise_with_the_clock_and_go_on_after_a_resume(tmp_path, monkeypatch):
    clock = iter([100.0, 101.5, 103.0, 104.0, 110.0, 110.0, 110.0, 112.0])
    monkeypatch.setattr(history_module.time, "perf_counter", lambda: next(clock))
    first = History(tmp_path)
    first.log_metrics({"loss": 1.0}, step=0)
    first.log_metrics({"loss": 1.0}, step=1)
    first.log_metrics({"val": 1.0}, step=1)  # keeps the time of the step's first value
    assert read_history(tmp_path)["seconds"] == [(0, 1.5), (1, 3.0)]
    second = History(tmp_path)  # at 110
    second.truncate(0)
    second.log_metrics({"loss": 1.0}, step=1)
    assert read_history(tmp_path)["seconds"] == [(0, 1.5), (1, 3.5)]


def test_a_resumed_run_drops_later_rows_and_goes_on(tmp_path):
    first = History(tmp_path)
    for step in range(5):
        first.log_metrics({"loss": float(step), "val": 0.5}, step=step)
    second = History(tmp_path)
    second.truncate(2)
    assert [row[0] for row in lines(tmp_path)] == ["step", "0", "1", "2"]
    second.log_metrics({"loss": 33.0}, step=3)
    second.log_metrics({"new": 1.0}, step=4)
    assert lines(tmp_path) == [
        ["step", "loss", "val", "new"],
        ["0", "0.0", "0.5", ""],
        ["1", "1.0", "0.5", ""],
        ["2", "2.0", "0.5", ""],
        ["3", "33.0", "", ""],
        ["4", "", "", "1.0"],
    ]
    second.truncate(-1)
    assert len(lines(tmp_path)) == 1
    second.log_metrics({"loss": 1.0}, step=0)
    assert lines(tmp_path)[1:] == [["0", "1.0", "", ""]]


def test_truncating_before_anything_was_logged_writes_nothing(tmp_path):
    History(tmp_path / "run").truncate(5)
    assert not (tmp_path / "run").exists()


def test_a_torn_last_line_is_dropped_when_logging_goes_on(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,seconds,loss\n0,1.0,2.0\n1,2.0,1.")
    History(tmp_path).log_metrics({"loss": 3.0}, step=2)
    assert lines(tmp_path) == [["step", "loss"], ["0", "2.0"], ["2", "3.0"]]


def test_only_rank_zero_writes(tmp_path, monkeypatch):
    History(tmp_path).log_metrics({"loss": 1.0}, step=0)
    before = lines(tmp_path)
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    other = History(tmp_path)
    other.log_metrics({"loss": 1.0}, step=1)
    other.truncate(-1)
    assert lines(tmp_path) == before
    History(tmp_path / "other").log_metrics({"loss": 1.0}, step=0)
    assert not (tmp_path / "other").exists()


class Module(lightning.LightningModule):
    """Logs a training loss at every step and a validation loss."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        loss = self.layer(torch.ones(1, 1)).pow(2).sum()
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", 2.0)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_lightning_logs_to_it(tmp_path):
    trainer = lightning.Trainer(
        max_steps=6,
        max_epochs=-1,
        val_check_interval=3,
        check_val_every_n_epoch=None,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        accelerator="cpu",
        logger=History(tmp_path),
        callbacks=[LearningRateMonitor()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), DataLoader(range(100)), DataLoader(range(2)))
    history = read_history(tmp_path)
    assert "epoch" not in history
    assert len(history["train/loss"]) == 6
    assert [value for _, value in history["val/loss"]] == [2.0, 2.0]
    assert len(history["lr-SGD"]) == 6
    steps = [step for step, _ in history["seconds"]]
    assert steps == sorted(set(steps))
    assert os.listdir(tmp_path) == ["metrics.csv"]
