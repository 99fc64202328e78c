"""The processes of jobs: how many, what they may use, and that none outlives who started it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import time
from multiprocessing import forkserver

import pytest

from lightning_transformer.compare.run import machine, process
from lightning_transformer.compare.run.variants import Variant
from lightning_transformer.runs.result import read
from tests.helpers.short_runs import ROOT, environment, short, short_run

PATIENCE = 600.0  # seconds after which a test that waits has failed


def variant(**changes):
    return Variant("norm=a", {"norm": "a"}, (), 10, 5, **{"accelerator": "cpu", **changes})


@pytest.fixture
def cores(monkeypatch):
    """Give `cores(n, *gpus)`: a machine of this size."""

    def has(n, *gpus):
        monkeypatch.setattr(machine, "physical_cores", lambda: n)
        monkeypatch.setattr(machine, "visible_gpus", lambda: list(gpus))
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    return has


@pytest.mark.parametrize(
    ("n_cores", "n_jobs", "asked", "n_workers", "threads"),
    [
        (8, 100, None, 8, 1),  # one thread each: two and another job collapse
        (8, 100, 2, 2, 4),
        (8, 3, None, 3, 2),  # few jobs may have more
        (2, 100, 5, 5, 1),  # asked for: it stands
        (1, 1, None, 1, 1),
    ],
)
def test_cores_are_used_and_not_oversubscribed(cores, n_cores, n_jobs, asked, n_workers, threads):
    cores(n_cores)
    found = machine.machine_for([variant()], n_jobs, asked)
    assert (found.n_workers, found.threads, found.gpus) == (n_workers, threads, ())


def test_threads_stay_those_of_the_start(cores):
    cores(8)
    found = machine.machine_for([variant()], 100, 8, threads=4)
    assert (found.n_workers, found.threads) == (2, 4)
    found = machine.machine_for([variant()], 100, 2, threads=1)
    assert (found.n_workers, found.threads) == (2, 1)


@pytest.mark.parametrize(
    ("typed", "asked", "n_workers", "threads"),
    [("1", None, 8, 1), ("1", 2, 2, 1), ("4", None, 2, 4), ("2,1", 2, 2, 2), ("", 2, 2, 4)],
)
def test_the_threads_that_the_environment_asks_for(
    cores, monkeypatch, typed, asked, n_workers, threads
):
    cores(8)
    monkeypatch.setenv("OMP_NUM_THREADS", typed)
    found = machine.machine_for([variant()], 100, asked)
    assert (found.n_workers, found.threads) == (n_workers, threads)
    assert found.environment(0)["MKL_NUM_THREADS"] == str(threads)


@pytest.mark.parametrize(("typed", "says"), [("two", "must be at least 1"), ("2", "have 4 each")])
def test_threads_that_cannot_be_had_are_refused(cores, monkeypatch, typed, says):
    cores(8)
    monkeypatch.setenv("OMP_NUM_THREADS", typed)
    with pytest.raises(ValueError, match=f"^OMP_NUM_THREADS={typed}.* {says}"):
        machine.machine_for([variant()], 100, None, threads=4)


def test_each_job_has_a_gpu_of_its_own(cores, monkeypatch):
    cores(16, "2", "5")
    found = machine.machine_for([variant(accelerator="auto")], 100, None)
    assert (found.n_workers, found.threads) == (2, 8)
    assert [found.environment(i)["CUDA_VISIBLE_DEVICES"] for i in (0, 1)] == ["2", "5"]
    assert found.environment(0)["OMP_NUM_THREADS"] == "8"
    several = machine.machine_for([variant(accelerator="gpu", devices=2)], 100, None)
    assert (several.n_workers, several.gpus) == (1, ("2,5",))
    with pytest.raises(ValueError, match="workers=3 are more than the 2 GPUs"):
        machine.machine_for([variant(accelerator="gpu")], 100, 3)
    assert machine.machine_for([variant()], 100, None).gpus == ()  # trainer=cpu
    monkeypatch.undo()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-1a")
    assert machine.visible_gpus() == ["3", "GPU-1a"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert machine.visible_gpus() == []


def test_threads_of_one_core_count_once(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(machine, "quota", lambda: 100)
    for number, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{siblings}\n")
    assert machine.physical_cores(tmp_path) == 2


def test_a_containers_quota_is_kept_to(tmp_path):
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    assert machine.quota(tmp_path / "cpu.max") == 2
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.quota(tmp_path / "cpu.max") > 1000


def wait_for(happened, what):
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen in {PATIENCE} s"
        time.sleep(0.02)


@pytest.fixture
def lock(tmp_path):
    number = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    yield number
    os.close(number)


def arguments(tmp_path, folder, *more):
    return [*short(tmp_path), *more, "resume=auto", f"hydra.run.dir={folder}"]


@pytest.mark.slow
@pytest.mark.parametrize("preload", [False, True])
def test_a_job_gives_the_numbers_of_a_plain_run(tmp_path, lock, preload):
    """Two after each other and one beside them: none can see the others."""
    expected = {seed: short_run(tmp_path / f"plain{seed}", f"seed={seed}") for seed in (1, 2)}
    starter, env = process.ProcessStarter(lock, preload=preload), environment()
    for round_ in (1, 2):
        jobs = {}
        for seed in (1, 2):
            typed = arguments(tmp_path, tmp_path / f"{round_}-{seed}", f"seed={seed}")
            jobs[seed] = starter.start(typed, env, tmp_path / "logs" / f"{seed}.txt")
        for seed, job in jobs.items():
            wait_for(lambda job=job: job.code() is not None, "the end")
            assert job.code() == 0, job.last_line()
            found = read(tmp_path / f"{round_}-{seed}")
            assert found.metrics == expected[seed].metrics
            assert found.samples_sha256 == expected[seed].samples_sha256
    bad = starter.start(["nrm=none"], env, tmp_path / "logs" / "typo.txt")
    wait_for(lambda: bad.code() is not None, "the refusal")
    assert bad.code() == 2
    assert bad.last_line().startswith("error: unknown key nrm")


PARENT = """
    import os, sys, time
    from pathlib import Path
    from lightning_transformer.compare.run.process import ProcessStarter
    lock = os.open({lock!r}, os.O_RDWR | os.O_CREAT)
    import fcntl
    fcntl.flock(lock, fcntl.LOCK_EX)
    starter = ProcessStarter(lock, preload={preload})
    job = starter.start({arguments!r}, dict(os.environ), Path({log!r}))
    time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("preload", [False, True])
def test_a_job_ends_when_its_parent_is_killed_and_keeps_its_steps(tmp_path, preload):
    folder, lock = tmp_path / "run", str(tmp_path / "lock")
    typed = arguments(tmp_path, folder, "trainer.max_steps=100000", "trainer.val_every=100000")
    code = PARENT.format(lock=lock, preload=preload, arguments=typed, log=str(tmp_path / "log.txt"))
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, env=environment()
    )
    try:
        history = folder / "metrics.csv"
        wait_for(lambda: history.exists() and history.stat().st_size > 500, "training")
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        with open(lock) as file:  # free when the last of them is gone
            fcntl.flock(file, fcntl.LOCK_EX)
    finally:
        parent.kill()
    result = read(folder)
    assert result.status == "stopped"
    assert result.steps is not None
    assert (folder / "checkpoints" / f"step-{result.steps}").is_dir()


@pytest.mark.slow
def test_a_job_whose_fork_server_dies_goes_on_and_ends_only_with_its_process(tmp_path, lock):
    starter = process.ProcessStarter(lock, preload=True)
    folder = tmp_path / "run"
    typed = arguments(tmp_path, folder, "trainer.max_steps=100000", "trainer.val_every=100000")
    job = starter.start(typed, environment(), tmp_path / "log.txt")
    try:
        history = folder / "metrics.csv"
        wait_for(lambda: history.exists() and history.stat().st_size > 500, "training")
        assert job.code() is None
        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
        wait_for(lambda: job.child.exitcode is not None, "the end of the server")
        size = history.stat().st_size
        wait_for(lambda: history.stat().st_size > size, "more training")
        assert job.code() is None  # or a second attempt would write to its folder
        job.stop(at_once=False)
        wait_for(lambda: job.code() is not None, "the end of the job")
    finally:
        job.stop(at_once=True)
    assert job.code() == process.SERVER_LOST
    assert read(folder).status == "stopped"
    steps = read(folder).steps
    again = starter.start(
        [*typed, f"trainer.max_steps={steps + 1}"], environment(), tmp_path / "log.txt"
    )
    wait_for(lambda: again.code() is not None, "the end")
    assert (again.code(), read(folder).steps) == (0, steps + 1)


@pytest.mark.slow
@pytest.mark.parametrize("preload", [False, True])
def test_a_job_has_a_session_of_its_own_and_its_exit_code_comes_through(tmp_path, lock, preload):
    """A Ctrl-C in the terminal reaches our group alone; SIGTERM to the job is 143."""
    typed = arguments(tmp_path, tmp_path / "run", "trainer.max_steps=100000")
    log = tmp_path / "log.txt"
    job = process.ProcessStarter(lock, preload=preload).start(typed, environment(), log)
    try:
        history = tmp_path / "run" / "metrics.csv"
        wait_for(lambda: history.exists() and history.stat().st_size > 500, "training")
        assert os.getsid(job.child.pid) == job.child.pid
        job.stop(at_once=False)
        wait_for(lambda: job.code() is not None, "the end")
        assert job.code() == 143
    finally:
        job.stop(at_once=True)
