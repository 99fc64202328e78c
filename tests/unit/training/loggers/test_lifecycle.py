"""Loggers are made, begun and closed, whatever they are and however the run ends."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from lightning.pytorch.loggers import CSVLogger, Logger

from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.result import RunResult, read
from lightning_transformer.training.loggers.lifecycle import finished_loggers, make_loggers
from lightning_transformer.training.loggers.tensorboard import TensorBoard
from tests.conftest import compose_config
from tests.helpers.short_runs import At, crash, interrupt, short_run


class Recorder(Logger):
    """A logger of a user, without a save_dir, that notes what it is told."""

    made: ClassVar[list[Recorder]] = []

    def __init__(self) -> None:
        super().__init__()
        self.hyperparams: dict[str, Any] = {}
        self.rows: list[tuple[int | None, dict[str, float]]] = []
        self.ends: list[str] = []
        Recorder.made.append(self)

    @property
    def name(self) -> str:
        return "recorder"

    @property
    def version(self) -> int:
        return 0

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self.hyperparams.update(params)

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.rows.append((step, dict(metrics)))

    def finalize(self, status: str) -> None:
        self.ends.append(status)


class Keeper(Recorder):
    """One that can do what the loggers of this project can."""

    keeps_files = True

    def show_text(self, name: str, text: str, step: int) -> None:
        self.rows.append((step, {name: len(text)}))

    def finish(self, status: str, files: Any) -> None:
        self.ends.append(status)
        self.kept = {file.name: file.read_text(encoding="utf-8") for file in files}


@pytest.fixture(autouse=True)
def recorders(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    monkeypatch.setattr(Recorder, "made", [])
    return Recorder.made


def chosen(folder: Path, name: str) -> list[str]:
    """Overrides for a module in a folder, so that its source can be found."""
    module = folder / "my_loggers.py"
    module.write_text(
        f"from {__name__} import {name}\n\n\nclass Mine({name}):\n    pass\n", encoding="utf-8"
    )
    return ["+logger.mine._target_=my_loggers.Mine"]


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give `mine(name)`: overrides by which a run has a logger of this file."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda name: chosen(tmp_path, name)
    sys.modules.pop("my_loggers", None)


def test_several_options_at_once_are_several_loggers(tmp_path: Path) -> None:
    cfg = compose_config("logger=[tensorboard,csv]")
    (found,) = make_loggers(cfg, tmp_path)
    assert type(found) is TensorBoard
    assert make_loggers(compose_config("logger=csv"), tmp_path) == []
    assert make_loggers(compose_config("logger=none"), tmp_path) == []


def test_a_logger_of_lightning_gets_the_run_folder_unless_it_has_another(tmp_path: Path) -> None:
    target = "+logger.mine._target_=lightning.pytorch.loggers.CSVLogger"
    (tensorboard, mine) = make_loggers(compose_config(target), tmp_path)
    assert type(tensorboard) is TensorBoard
    assert type(mine) is CSVLogger
    assert mine.save_dir == str(tmp_path)
    (_, other) = make_loggers(compose_config(target, "+logger.mine.save_dir=x"), tmp_path)
    assert isinstance(other, CSVLogger)
    assert other.save_dir == "x"


def test_what_is_no_logger_is_refused(tmp_path: Path) -> None:
    cfg = compose_config("+logger.x._target_=lightning.pytorch.callbacks.LearningRateMonitor")
    with pytest.raises(ConfigError, match=r"^logger\.x\._target_=lightning.* is no logger of Li"):
        make_loggers(cfg, tmp_path)


def test_a_run_tells_every_logger_what_it_is_and_what_came_of_it(
    tmp_path: Path, recorders: list[Recorder], mine: Any
) -> None:
    differing = {"norm": "rmsnorm", "+optimizer.lr": "3e-3", "seed": "2"}
    result = short_run(tmp_path / "run", *mine("Recorder"), differing=differing)
    (seen,) = recorders
    assert seen.hyperparams == {
        "n_params": result.n_params,
        "norm": "rmsnorm",
        "optimizer.lr": 3e-3,
        "seed": 2,
    }
    step, last = seen.rows[-1]
    assert step == 6
    assert last == {
        "result/test_loss": result.metrics["test/loss"],
        "result/val_loss": result.metrics["val/loss"],
        "result/tokens_per_s": result.tokens_per_second,
        "result/test_perplexity": result.metrics["test/perplexity"],
        "result/test_bits_per_byte": result.metrics["test/bits_per_byte"],
    }
    assert seen.ends[-1] == "success"


@pytest.mark.parametrize(
    ("what", "status"), [(None, "finished"), (interrupt, "stopped"), (crash, "failed")]
)
def test_a_logger_is_closed_however_the_run_ends_and_has_its_last_files(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recorders: list[Recorder],
    mine: Any,
    what: Any,
    status: str,
) -> None:
    if what is not None:
        At(monkeypatch, 4, what)
    with contextlib.suppress(RuntimeError):
        short_run(tmp_path / "run", *mine("Keeper"), "callbacks=default")
    (seen,) = recorders
    assert isinstance(seen, Keeper)
    assert seen.ends[-1] == status
    wanted = {"config.yaml", "result.json", "metrics.csv", "samples.md"}
    assert set(seen.kept) == wanted | ({"traceback.txt"} if status == "failed" else set())
    # What is kept is what is on the disk at the very end.
    assert seen.kept["result.json"] == (tmp_path / "run" / "result.json").read_text()
    assert read(tmp_path / "run").status == status


def test_one_that_cannot_be_closed_costs_neither_the_run_nor_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Recorder):
        def finalize(self, status: str) -> None:
            raise OSError("the network is\ndown")

    other = Recorder()
    with finished_loggers(RunResult(status="finished"), tmp_path) as loggers:
        loggers += [Broken(), other]
    assert other.ends == ["success"]
    assert "Broken could not be closed: the network is down" in caplog.text


def test_a_run_of_wandb_that_a_job_has_opened_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A WandbLogger typed as it is opens one for the process, which the next job would get."""
    codes: list[int] = []
    run = SimpleNamespace(finish=lambda exit_code: codes.append(exit_code))
    wandb = SimpleNamespace(run=None)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    with finished_loggers(RunResult(status="finished"), tmp_path):
        wandb.run = run
    assert codes == [0]
    with finished_loggers(RunResult(status="failed"), tmp_path):  # open before: not of this job
        pass
    assert codes == [0]
