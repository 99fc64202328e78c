"""Sweeps by Hydra's other launchers and sweepers give what the basic ones give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from lightning_transformer.runs.result import read
from tests.helpers.short_runs import command, difference, short

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="submitit needs signals that Windows lacks"),
]

# Both start processes that have loaded nothing of this package.
LAUNCHERS = {
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit": ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"],
}
VALUES = ("norm=rmsnorm,layernorm", "seed=2", "model.dropout=0.1")


def sweep(folder: Path, *typed: str) -> subprocess.CompletedProcess[str]:
    """Run a sweep called try in a process of its own."""
    return command("-m", *short(folder, "sweep=try", "logger=tensorboard", *typed), cwd=folder)


def jobs(folder: Path) -> dict[str, Path]:
    """The jobs of the sweep by their folders' names."""
    found = (folder / "outputs" / "sweeps" / "try").glob("*/result.json")
    return {path.parent.name: path.parent for path in found}


def columns(job: Path) -> dict[str, str]:
    """A job's row in TensorBoard's table of runs."""
    events = EventAccumulator(str(job))
    events.Reload()
    content = events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    start = HParamsPluginData.FromString(content).session_start_info
    return {name: value.string_value for name, value in start.hparams.items()}


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sweep as the basic launcher does it."""
    folder = tmp_path_factory.mktemp("basic")
    done = sweep(folder, *VALUES)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_names_columns_and_numbers_are_those_of_the_basic_launcher(
    tmp_path: Path, basic: Path, launcher: str
) -> None:
    done = sweep(tmp_path, *LAUNCHERS[launcher], *VALUES)
    assert (done.returncode, done.stderr) == (0, "")
    mine, others = jobs(tmp_path), jobs(basic)
    assert sorted(mine) == sorted(others)
    assert sorted(mine) == ["norm=layernorm", "norm=rmsnorm"]
    for name, job in mine.items():
        assert read(job).status == "finished"
        shown = columns(job)
        assert shown == columns(others[name])
        assert set(shown) == {"n_params", "norm"}
        assert difference(job, others[name]) == 0
        (row,) = (line for line in done.stdout.splitlines() if line.startswith(f"{name} "))
        assert f"{read(job).metrics['test/loss']:.4f}" in row
    again = sweep(tmp_path, *LAUNCHERS[launcher], *VALUES)
    assert again.returncode == 0
    assert sorted(jobs(tmp_path)) == sorted(others)  # all known again


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_failed_job_is_the_exit_code_whatever_lies_there(tmp_path: Path, launcher: str) -> None:
    torn = tmp_path / "outputs" / "sweeps" / "try" / "torn"
    torn.mkdir(parents=True)
    (torn / "result.json").write_text("{")
    done = sweep(tmp_path, *LAUNCHERS[launcher], "attention.n_heads=2,5")
    assert done.returncode == 1
    assert "1 of 2 jobs failed; run the same again to redo them" in done.stdout
    line = "  attention.n_heads=5  ConfigError: model.d_model=32 is not divisible by "
    assert line in done.stdout
    statuses = {name[-1]: read(job).status for name, job in jobs(tmp_path).items() if job != torn}
    assert statuses == {"2": "finished", "5": "failed"}


def test_a_sweeper_that_searches_gets_the_loss(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="extra `launchers`")
    search = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.sampler.seed=1"]
    done = sweep(tmp_path, *search, "optimizer.lr=tag(log,interval(1e-3,1e-1))")
    assert done.returncode == 0, done.stderr
    found = jobs(tmp_path)
    assert len(found) == 3
    for name, job in found.items():
        key, _, value = name.partition("=")
        assert key == "optimizer.lr"
        assert columns(job).items() >= {"optimizer.lr": value}.items()
        assert set(columns(job)) == {"n_params", "optimizer.lr"}
    best = min(found.values(), key=lambda job: read(job).metrics["val/loss"])
    reported = yaml.safe_load((best.parent / "optimization_results.yaml").read_text())
    assert reported["best_value"] == read(best).metrics["val/loss"]


def test_a_sweeper_that_searches_outlives_a_failed_job(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="extra `launchers`")
    search = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.sampler.seed=1"]
    done = sweep(tmp_path, *search, "attention.n_heads=choice(2,4,5)", "seed=range(1,9)")
    statuses = sorted(read(job).status for job in jobs(tmp_path).values())
    assert (done.returncode, statuses) == (1, ["failed", "finished", "finished"]), done.stderr
