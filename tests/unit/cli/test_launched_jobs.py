"""A launcher is watched: what its jobs return reaches the callbacks, its own failure the user."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus

from lightning_transformer.cli.launched_jobs import JobFailure, WatchedLauncher, watched_launchers
from lightning_transformer.cli.sweep_table import SweepTable


def returned(value: object) -> JobReturn:
    job = JobReturn(status=JobStatus.COMPLETED)
    job.return_value = value
    return job


def watched(launch: Any, show: Any = lambda jobs: None) -> WatchedLauncher:
    launcher: Any = SimpleNamespace(launch=launch)
    return WatchedLauncher(launcher, show)


def test_callbacks_see_what_jobs_of_any_batch_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it came from another process: by pickle."""
    values = [1.5, JobFailure("b", "ValueError: no"), None]
    jobs = [[pickle.loads(pickle.dumps(returned(value))) for value in values], [returned(2.5)]]
    inner = SimpleNamespace(launch=lambda overrides, initial_job_idx: jobs[initial_job_idx])
    monkeypatch.setattr(Plugins, "instantiate_launcher", lambda *given: inner)
    before = Plugins.instantiate_launcher
    table = SweepTable()
    context: Any = SimpleNamespace(callbacks=SimpleNamespace(callbacks=[object(), table]))
    with watched_launchers():
        nothing: Any = None
        launcher = Plugins.instance().instantiate_launcher(context, nothing, nothing)
        assert [launcher.launch([], initial_job_idx=i) for i in (0, 1)] == jobs
    assert Plugins.instantiate_launcher is before
    assert (table.n_jobs, table.failed) == (4, [JobFailure("b", "ValueError: no")])


def test_a_failed_job_is_no_number() -> None:
    failed: Any = JobFailure("b", "ValueError: no")
    with pytest.raises(TypeError):
        float(failed)


def test_a_launcher_that_fails_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def launch(overrides: Any, initial_job_idx: int) -> Any:
        raise RuntimeError("the worker\n  was killed")

    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with pytest.raises(SystemExit) as end:
        watched(launch).launch([], 0)
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert said == "error: SimpleNamespace failed: RuntimeError: the worker was killed\n"
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(RuntimeError, match="the worker"):
        watched(launch).launch([], 0)


def test_ctrl_c_while_jobs_run_elsewhere_has_its_exit_code() -> None:
    def launch(overrides: Any, initial_job_idx: int) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        watched(launch).launch([], 0)
    assert end.value.code == 130
