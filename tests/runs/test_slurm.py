"""Runs in the queue of a real Slurm: preempted they go on, failed they do not start again."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lightning_transformer.cluster.__main__ import main
from lightning_transformer.runs.result import read
from tests.helpers.short_runs import DROPOUT, ROOT, difference, history, short
from tests.helpers.slurm import SlurmCluster, slurm_cluster, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Slurm is installed on Debian only")

N_STEPS = 300
PLACES = (20, 90, 160)  # steps after which the run is preempted
TWO_NODES = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=1", "trainer.num_nodes=2")


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with slurm_cluster() as cluster:
        cluster.env["PYTHONPATH"] = str(ROOT)
        yield cluster


@pytest.fixture
def queue(cluster: SlurmCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Queue:
    return Queue(cluster, tmp_path, capsys)


class Queue:
    """Puts runs on a cluster's queue, by the printed script."""

    def __init__(
        self, cluster: SlurmCluster, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.cluster, self.folder, self.capsys = cluster, folder, capsys

    def run(self, name: str, *typed: str, flags: Sequence[str] = ()) -> str:
        """Submit the run whose folder has this name; the number of its job."""
        place = f"hydra.run.dir={self.folder / name}"
        assert main(["script", *flags, *short(self.folder, *typed), place]) == 0
        script = self.folder / f"{name}.sh"
        script.write_text(self.capsys.readouterr().out)
        return self.cluster.submit(str(script), cwd=self.folder)

    def log(self, number: str) -> str:
        return (self.folder / f"{number}.log").read_text()


def preempt_at(queue: Queue, number: str, folder: Path, places: Sequence[int]) -> None:
    """Have a job give way to an urgent one once its run has done so many steps; as often as asked.

    It has to come back by itself each time.
    """
    cluster = queue.cluster
    for times, step in enumerate(places, start=1):

        def began(step: int = step) -> bool:
            assert cluster.job(number)["JobState"] in ("RUNNING", "PENDING", "COMPLETING")
            return steps_done(folder) >= step

        wait_until(began, f"step {step}", 240, lambda: queue.log(number))
        urgent = cluster.submit("--partition=urgent", "--nodes=2", "--wrap=true", cwd=queue.folder)
        cluster.wait(urgent, "COMPLETED")
        assert int(cluster.job(number)["Restarts"]) == times, queue.log(number)
        result = read(folder)
        assert result.status == "stopped"
        assert result.steps is not None
        assert step <= result.steps < N_STEPS, "too slow to be in time"


def steps_done(folder: Path) -> int:
    """The last step in a run's history, which may be half written just now."""
    try:
        with (folder / "metrics.csv").open(encoding="utf-8") as file:
            return max((int(row["step"]) for row in csv.DictReader(file)), default=0)
    except (OSError, ValueError, TypeError):
        return 0


@pytest.mark.parametrize(
    "places",
    [
        pytest.param(PLACES[1:2], marks=pytest.mark.slow, id="once"),
        pytest.param(PLACES, marks=pytest.mark.thorough, id="three times"),
    ],
)
def test_a_preempted_run_goes_on_and_ends_as_an_undisturbed_one(
    queue: Queue, places: Sequence[int]
) -> None:
    long = (f"trainer.max_steps={N_STEPS}", "trainer.val_every=100", "trainer.save_every=50")
    typed = (*DROPOUT, *TWO_NODES, *long)
    undisturbed = queue.run("undisturbed", *typed, flags=["--partition=urgent"])
    ended = queue.cluster.wait(undisturbed, "COMPLETED", "FAILED")
    assert (ended["JobState"], ended["Restarts"]) == ("COMPLETED", "0"), queue.log(undisturbed)
    number = queue.run("run", *typed, flags=["--partition=patient"])
    run, other = queue.folder / "run", queue.folder / "undisturbed"
    preempt_at(queue, number, run, places)
    ended = queue.cluster.wait(number, "COMPLETED", "FAILED")
    assert (ended["JobState"], ended["ExitCode"]) == ("COMPLETED", "0:0"), queue.log(number)
    assert int(ended["Restarts"]) == len(places)
    assert queue.log(number).count("stopping after this step with a checkpoint") == len(places)
    assert difference(run, other) == 0
    assert history(run) == history(other)
    assert read(run).metrics == read(other).metrics
    assert read(run).samples_sha256 == read(other).samples_sha256
    assert read(run).status == "finished"
    assert not list(queue.folder.rglob("hpc_ckpt*"))


@pytest.mark.slow
def test_a_run_that_fails_or_is_refused_or_cancelled_has_ended(queue: Queue) -> None:
    one = ["--partition=urgent"]
    refused = queue.run("refused", "attention.n_heads=5", flags=one)
    failed = queue.run("failed", "optimizer=sgd", "optimizer.lr=1e30", flags=one)
    for number, code in ((refused, "2:0"), (failed, "1:0")):
        ended = queue.cluster.wait(number, "FAILED", "COMPLETED")
        found = (ended["JobState"], ended["ExitCode"], ended["Restarts"])
        assert found == ("FAILED", code, "0"), queue.log(number)
    assert read(queue.folder / "failed").status == "failed"
    cancelled = queue.run("cancelled", "trainer.max_steps=100000", flags=one)
    wait_until(lambda: steps_done(queue.folder / "cancelled") > 0, "a step", 240)
    queue.cluster.cancel(cancelled)
    ended = queue.cluster.wait(cancelled, "CANCELLED")
    assert ended["Restarts"] == "0"


@pytest.mark.slow
def test_one_process_trains_in_an_allocation_of_several_tasks(queue: Queue) -> None:
    typed = " ".join(short(queue.folder, f"hydra.run.dir={queue.folder / 'run'}"))
    call = f"{sys.executable} -m lightning_transformer {typed}"
    number = queue.cluster.submit("--ntasks=2", f"--wrap={call}", cwd=queue.folder)
    ended = queue.cluster.wait(number, "COMPLETED", "FAILED")
    assert ended["JobState"] == "COMPLETED", queue.log(number)
    assert read(queue.folder / "run").status == "finished"
