"""What cannot run in the queue of Slurm is refused in one line, before anything is submitted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lightning_transformer.compare.run.launchers import slurm as module
from lightning_transformer.compare.run.launchers.local import Local
from lightning_transformer.compare.run.launchers.slurm import Slurm
from lightning_transformer.compare.run.queue.record import Allocation, QueuedRun, QueueRecord
from lightning_transformer.compare.run.queue.slurm_engine import SlurmEngine
from lightning_transformer.errors import ConfigError
from tests.unit.compare.run.fake_jobs import Jobs, plan, pool


@pytest.fixture(autouse=True)
def sbatch(monkeypatch):
    """What `sbatch --test-only` was asked for; it refuses nothing."""
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(SlurmEngine, "check", lambda self, script: asked.append(self.options))
    monkeypatch.setattr(module, "code_sha256", lambda: "code")
    return asked


def variants(**changes):
    return [replace(variant, **changes) for variant in plan("a", "b").variants]


def test_jobs_ask_for_what_the_options_say(sbatch):
    launcher = Slurm(
        partition="gpus", account="me", qos="low", constraint="a100", gpus=2, cpus=3,
        memory="16G", minutes=90, extra=["--exclude=n7"],
    )  # fmt: skip
    machine = launcher.machine(variants(devices=2, nodes=2), 12, None, None)
    assert sbatch == [(
        "--nodes=2", "--ntasks-per-node=2", "--cpus-per-task=3", "--requeue", "--open-mode=append",
        "--signal=TERM@120", "--gpus-per-node=2", "--partition=gpus", "--account=me", "--qos=low",
        "--constraint=a100", "--mem=16G", "--time=90", "--exclude=n7",
    )]  # fmt: skip
    assert (machine.n_workers, machine.threads) == (12, 3)
    assert str(machine) == "the queue of Slurm, 12 runs at a time at most, 3 threads each"
    assert launcher.on_gpus()
    assert not Slurm().on_gpus()


@pytest.mark.parametrize(
    ("options", "workers", "n"),
    [({}, None, 100), ({}, 7, 7), ({"pack": 4}, 7, 28), ({"max_queued": 3}, None, 3)],
)
def test_how_many_runs_are_in_the_queue_at_a_time(options, workers, n):
    assert Slurm(**options).machine(variants(), 1000, workers, None).n_workers == n


@pytest.mark.parametrize(
    ("options", "changes", "line"),
    [
        ({"cpus": 0}, {}, "launcher.cpus=0 must be at least 1; use launcher.cpus=1"),
        ({"gpus": -1}, {}, "launcher.gpus=-1 must be at least 0; use launcher.gpus=0"),
        ({"pack": 0}, {}, "launcher.pack=0 must be at least 1; use launcher.pack=1"),
        ({"minutes": 2}, {}, "launcher.minutes=2 must be at least 5; use launcher.minutes=5"),
        ({"extra": ["-p x"]}, {}, "launcher.extra has -p x, which must be an option of sbatch in"),
        (
            {"extra": ["--partition=x"]},
            {},
            "launcher.extra has --partition=x, but launcher.partition sets --partition; leave it",
        ),
        ({"extra": ["--requeue"]}, {}, "launcher.extra has --requeue, but compare run sets --req"),
        (
            {"pack": 2, "gpus": 1},
            {"devices": 2},
            "launcher.pack=2 is for runs of one device, and these have 2; use launcher.pack=1",
        ),
        ({"pack": 2}, {"nodes": 2}, "launcher.pack=2 is for runs of one device, and these have 2"),
        (
            {"gpus": 2},
            {"devices": 4},
            "launcher.gpus=2, but a run uses trainer.devices=4 of a node; use launcher.gpus=4",
        ),
        ({}, {"accelerator": "gpu"}, "trainer.accelerator=gpu needs GPUs; use launcher.gpus=1"),
        ({}, {"devices": "auto"}, "trainer.devices=auto does not say how many processes a job is"),
    ],
)
def test_what_does_not_fit_is_refused(options, changes, line):
    with pytest.raises(ConfigError) as refused:
        Slurm(**options).machine(variants(**changes), 4, None, None)
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)


def test_a_comparison_keeps_its_number_of_threads():
    assert Slurm(cpus=2).machine(variants(), 4, None, 2).threads == 2
    with pytest.raises(ConfigError, match=r"have 1 threads each, .* use launcher\.cpus=1$"):
        Slurm(cpus=2).machine(variants(), 4, None, 1)


def starting(launcher, found):
    machine = launcher.machine(variants(), 4, None, None)
    return launcher.starting(found, machine, lambda job: [], 0, lambda line: None)


def test_a_comparison_of_other_code_is_not_gone_on_with(tmp_path):
    found = pool(plan(lr="fixed"), tmp_path / "try")
    QueueRecord("slurm", "other", "a" * 12).write(found.folder)
    with (
        pytest.raises(ConfigError, match=r"^name=try was started with other code \(commit aaaaaa"),
        starting(Slurm(), found),
    ):
        raise AssertionError("it has begun")


def test_two_commands_do_not_work_at_one_comparison(tmp_path):
    found = pool(plan(lr="fixed"), tmp_path / "try")
    with (
        starting(Slurm(), found),
        pytest.raises(ConfigError, match=r"is in use \(process \d+"),
        starting(Slurm(), found),
    ):
        raise AssertionError("it has begun")


def test_nothing_is_run_here_while_jobs_may_be_at_it(tmp_path):
    found = pool(plan(lr="fixed"), tmp_path / "try")
    runs = [QueuedRun("norm=a,seed=1", None, "chain")]
    record = QueueRecord("slurm", "code", "", {"x": Allocation(runs, "12"), "y": Allocation(runs)})
    record.write(found.folder)
    with (
        pytest.raises(ConfigError) as refused,
        Local().starting(found, Local().machine(variants(), 1, 1, None), list, 0, print),
    ):
        raise AssertionError("it has begun")
    assert str(refused.value) == (
        "jobs 12, one without a number of slurm may be at the runs of name=try; go on with "
        "launcher=slurm, or end them with compare cancel try"
    )
    assert Jobs(found.folder, lambda overrides, step: 1.0).begun == []
