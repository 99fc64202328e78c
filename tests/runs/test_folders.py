"""A run is its configuration, and one process owns its folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from lightning_transformer.cli.job import set_aside
from lightning_transformer.runs.lock import RunLock, read_owner
from lightning_transformer.runs.result import find_results, read
from tests.helpers.short_runs import (
    At,
    command,
    environment,
    interrupt,
    refused,
    short,
    short_run,
    type_in,
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def other(here):
    """Give `other(folder, digest)`: another process that holds the folder."""
    started = []

    def hold(folder, digest="x"):
        code = (
            "import sys, time\nfrom pathlib import Path\n"
            "from lightning_transformer.runs.lock import RunLock\n"
            "RunLock(Path(sys.argv[1]), sys.argv[2]).acquire()\nprint(flush=True)\ntime.sleep(60)"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(folder), digest],
            stdout=subprocess.PIPE,
            env=environment(),
        )
        started.append(process)
        process.stdout.read(1)
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


# -- identity --------------------------------------------------------------------------------------


def test_jobs_that_share_a_folder_by_name_share_none(here, monkeypatch, capsys):
    numbers = ("sweep=num", "hydra.sweep.subdir=${hydra.job.num}")
    folder = here / "outputs" / "sweeps" / "num"
    for seeds in ("1,2", "3,4"):
        assert type_in(monkeypatch, "-m", *short(here, f"seed={seeds}", *numbers)) == 0
    assert "skipped" not in capsys.readouterr().out
    found = {path.parent.name: read(path).seed for path in folder.glob("*/result.json")}
    assert found == {"0": 1, "1": 2, "0~2": 3, "1~2": 4}
    for name, seed in found.items():
        assert (
            yaml.safe_load((folder / name / ".hydra" / "config.yaml").read_text())["seed"] == seed
        )
    assert type_in(monkeypatch, "-m", *short(here, "seed=3,4", *numbers)) == 0
    assert capsys.readouterr().out.count("finished before, skipped") == 2
    assert len(list(folder.glob("*/result.json"))) == 4


def test_a_stopped_job_goes_on_only_as_itself(here, monkeypatch):
    """With another dropout it is another run, whatever its folder is called."""
    typed = ("-m", *short(here, "seed=1,2", "sweep=try", "hydra.sweep.subdir=${hydra.job.num}"))
    with monkeypatch.context() as patch:
        At(patch, 4, interrupt)
        assert type_in(monkeypatch, *typed) == 130
    folder = here / "outputs" / "sweeps" / "try"
    assert read(folder / "0").status == "stopped"
    assert type_in(monkeypatch, *typed, "model.dropout=0.3") == 0
    assert (read(folder / "0").status, read(folder / "0").steps) == ("stopped", 4)
    alone = short_run(here / "alone", "seed=1", "model.dropout=0.3")
    assert read(folder / "0~2").metrics == alone.metrics


# -- one process at a time -------------------------------------------------------------------------


def test_a_folder_in_use_is_refused_with_who_uses_it(here, monkeypatch, capsys, other):
    short_run(here / "run")
    process = other(here / "run")
    for typed in (
        ["resume=run", "trainer.max_steps=8"],
        ["resume=auto", "hydra.run.dir=run", *short(here)],
        ["hydra.run.dir=run", *short(here)],
    ):
        line = refused(monkeypatch, capsys, *typed)
        assert f"run is in use (process {process.pid}, since " in line
        assert f"kill {process.pid}" in line
    assert read(here / "run").steps == 6
    assert not list((here / "run").glob("failed-*"))
    process.kill()
    process.wait()
    assert type_in(monkeypatch, "resume=run", "trainer.max_steps=8") == 0
    assert read(here / "run").steps == 8


def test_a_second_terminal_leaves_running_jobs_alone(here, monkeypatch, capsys, other):
    typed = ("-m", *short(here, "seed=1,2", "sweep=try"))
    assert type_in(monkeypatch, *typed) == 0
    folder = here / "outputs" / "sweeps" / "try" / "seed=1"
    result = read(folder)
    result.status = "running"
    result.write(folder)
    process = other(folder, result.config_sha256)
    capsys.readouterr()
    assert type_in(monkeypatch, *typed) == 0
    out = capsys.readouterr().out
    assert f"skipped: {folder} is in use (process {process.pid}" in out
    assert read(folder).status == "running"
    process.kill()
    process.wait()
    assert type_in(monkeypatch, *typed) == 0  # dead, so that it goes on
    assert read(folder).status == "finished"


def test_what_failed_is_set_aside_without_the_lock(here):
    lock = RunLock(here / "run", "x")
    lock.acquire()
    (here / "run" / "metrics.csv").write_text("step\n")
    set_aside(here / "run")
    assert (here / "run" / "failed-1" / "metrics.csv").exists()
    assert read_owner(here / "run") == lock.owner
    assert sorted(path.name for path in (here / "run").iterdir() if path.is_file()) == [
        ".lock",
        ".owner.json",
    ]
    lock.release()


def test_a_run_of_python_is_locked_too(here, other):
    from lightning_transformer.api.train import train

    other(here / "run")
    with pytest.raises(ValueError, match="run is in use"):
        train(short(here), here / "run")
    found = train(short(here, "trainer.max_steps=3"), here / "free")
    assert found.status == "finished"
    assert read_owner(here / "free") is None
    RunLock(here / "free", "x").acquire()


@pytest.mark.slow
def test_commands_of_the_same_second_write_beside_each_other(here):
    (here / "mine" / "experiment").mkdir(parents=True)
    second = "# @package _global_\nhydra: {run: {dir: outputs/runs/same}}\n"
    (here / "mine" / "experiment" / "second.yaml").write_text(second)
    call = [sys.executable, "-m", "lightning_transformer", *short(here, "experiment=second")]
    processes = [
        subprocess.Popen([*call, "--config-dir", "mine"], cwd=here, env=environment())
        for _ in range(3)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    results = {one.file.parent.name: read(one.file) for one in find_results([here / "outputs"])}
    assert sorted(results) == ["same", "same~2", "same~3"]
    assert [result.status for result in results.values()] == ["finished"] * 3
    assert len({str(result.metrics) for result in results.values()}) == 1


@pytest.mark.slow
def test_resuming_twice_at_once_goes_on_once(here):
    """The second command is refused while the first is training, and loses nothing of it."""
    typed = ["resume=auto", "hydra.run.dir=run", *short(here, "trainer.max_steps=3000")]
    typed += ["trainer.val_every=50"]
    call = [sys.executable, "-m", "lightning_transformer", *typed]
    with subprocess.Popen(call, cwd=here, env=environment(), stdout=subprocess.DEVNULL) as first:
        end = time.monotonic() + 240
        while not (here / "run" / "checkpoints").exists():
            assert first.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        second = command(*typed, cwd=here)
        assert second.returncode == 2
        assert f"process {first.pid}" in second.stderr
        first.send_signal(signal.SIGTERM)
        assert first.wait(240) == 143
    assert not list((here / "run").glob("failed-*"))
    assert read(here / "run").status == "stopped"


# -- how many processes there are ------------------------------------------------------------------


@pytest.mark.parametrize(
    "left", [{"RANK": "1"}, {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}]
)
def test_variables_that_a_platform_left_behind_do_no_harm(here, monkeypatch, capsys, left):
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    assert type_in(monkeypatch, *short(here, "hydra.run.dir=run", "logger=tensorboard")) == 0
    assert read(here / "run").status == "finished"
    assert list((here / "run").glob("events.out.tfevents.*"))
    assert "finished at step 6" in capsys.readouterr().out
    assert not set(left) & set(os.environ)


@pytest.mark.slow
def test_more_processes_than_devices_are_refused_in_one_line(here):
    call = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--no-python", sys.executable]
    call += ["-m", "lightning_transformer", *short(here)]
    done = subprocess.run(
        [sys.executable, *call], cwd=here, env=environment(), capture_output=True, text=True
    )
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert lines == [
        "error: 2 processes were started by torchrun, trainer.devices x trainer.num_nodes=1: use "
        "trainer=ddp trainer.devices=2, or start one"
    ]
    assert not (here / "outputs").exists() or not list((here / "outputs").rglob("result.json"))


@pytest.mark.slow
def test_processes_of_torchrun_make_one_run(here):
    call = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--no-python", sys.executable]
    call += ["-m", "lightning_transformer", *short(here, "trainer=ddp", "trainer.accelerator=cpu")]
    done = subprocess.run(
        [sys.executable, *call, "trainer.max_steps=6", "hydra.run.dir=run"],
        cwd=here,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert read(here / "run").status == "finished"
    assert done.stdout.count("finished at step") == 1
