"""`compare run launcher=slurm` in the queue of a real Slurm, also where command and node die."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_transformer.compare.run.queue.in_job.status import newest_step
from lightning_transformer.runs.result import read
from tests.helpers import light_runs
from tests.helpers.short_runs import ROOT, environment, history, short
from tests.helpers.slurm import SlurmCluster, slurm_cluster, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Slurm is installed on Debian only")

# Without the report, which takes longer than the runs.
COMMAND = (
    "import sys; from lightning_transformer.compare.run import command; "
    "command._report = lambda *given: None; sys.exit(command.main(sys.argv[1:]))"
)
COMPARED = (
    *("norm=layernorm,rmsnorm", "lr=fixed", "name=try", "workers=2"),
    *("trainer.max_steps=60", "trainer.val_every=20", "trainer.save_every=20"),
)
N_SEEDS, MORE_SEEDS = 2, 3
PACKED = ("launcher=slurm", "launcher.partition=patient", f"launcher.pack={N_SEEDS}")
OF_BOTH_JOBS = ("norm=layernorm,seed=1", f"norm=rmsnorm,seed={N_SEEDS}")
ALONE = ("launcher=slurm", "launcher.partition=patient")


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with slurm_cluster() as cluster:
        cluster.env["PYTHONPATH"] = str(ROOT)
        yield cluster


def begin(folder: Path, cluster: SlurmCluster | None, *words: str) -> subprocess.Popen[str]:
    """Start the command in a folder of its own."""
    folder.mkdir(exist_ok=True)
    kept = [o for o in short(folder.parent) if "max_steps" not in o and "val_every" not in o]
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *COMPARED, *kept, *words],
        cwd=folder,
        env=environment() if cluster is None else {**environment(), **cluster.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def n_logged(sweep: Path, run: str) -> int:
    """How many lines all runs whose names fit have logged."""
    files = sweep.glob(f"{run}/metrics.csv")
    return sum(len(file.read_bytes().splitlines()) for file in files)


@pytest.mark.thorough
def test_twelve_runs_survive_the_deaths_of_commands_and_of_a_node(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    """With runs that only count: the command is killed twice, the second time with a node."""
    folder = tmp_path / "try"
    call = [sys.executable, "-m", "tests.helpers.light_runs", str(folder)]
    env = {**environment(), **cluster.env}

    def killed_after(n: int) -> None:
        process = subprocess.Popen(call, env=env, cwd=ROOT)
        wait_until(lambda: n_begun(folder) >= n or process.poll(), "runs", 240, cluster.logs)
        assert process.poll() is None
        process.kill()
        process.wait()

    killed_after(1)
    killed_after(4)
    wait_until(lambda: has_saved(cluster, folder, "n2"), "a checkpoint", 240, cluster.logs)
    (lost,) = cluster.kill_node("n2")
    done = subprocess.run(call, env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^adopted   \d+ runs that are in the queue$", done.stdout, re.M)
    assert cluster.job(lost)["Restarts"] == "1"
    begun = [file.read_text().split() for file in folder.glob("norm=*/begun.txt")]
    assert len(begun) == light_runs.N_RUNS
    assert sorted(map(len, begun)) == [1] * (light_runs.N_RUNS - 1) + [2]  # the lost one twice
    (twice,) = (steps for steps in begun if len(steps) == 2)
    assert int(twice[1]) % light_runs.SAVE_EVERY == 0  # from its checkpoint
    assert {read(path.parent).status for path in folder.glob("norm=*/result.json")} == {"finished"}
    assert json.loads((folder / "cluster.json").read_text())["allocations"] == {}
    cluster.start_node("n2")


def has_saved(cluster: SlurmCluster, folder: Path, node: str) -> bool:
    """Whether the job of a node has written a checkpoint, and is not near its end."""
    number = cluster.call("squeue", "--noheader", f"--nodelist={node}", "--format=%i")
    allocations = json.loads((folder / "cluster.json").read_text())["allocations"].values()
    runs = [one["runs"][0]["folder"] for one in allocations if one["number"] == number]
    return any(5 <= newest_step(folder / run) <= light_runs.STEPS / 2 for run in runs)


def n_begun(folder: Path) -> int:
    return len(list(folder.glob("norm=*/begun.txt")))


@pytest.mark.slow
def test_command_and_node_die_and_every_metric_is_that_of_this_machine(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    """Four runs in two jobs; then two more in a job each, and what was lost goes on elsewhere."""
    here = begin(tmp_path / "here", None, f"seeds={MORE_SEEDS}")
    ended(here)
    sweep = tmp_path / "there" / "outputs" / "sweeps" / "try"
    first = begin(tmp_path / "there", cluster, f"seeds={N_SEEDS}", *PACKED)

    def both_work() -> bool:
        assert first.poll() is None, first.communicate()[0]
        return all(n_logged(sweep, run) > 2 for run in OF_BOTH_JOBS)

    wait_until(both_work, "runs of both jobs", 240, cluster.logs)
    first.kill()
    lost = cluster.kill_node("n2")
    first.communicate()
    assert len(lost) == 1
    output = ended(begin(tmp_path / "there", cluster, f"seeds={MORE_SEEDS}", *ALONE))
    # Of the other node some may have ended by now.
    adopted = re.search(r"^adopted +(\d+) runs that are in the queue", output, re.MULTILINE)
    assert adopted is not None, output
    assert N_SEEDS <= int(adopted[1]) <= 2 * N_SEEDS
    restarts = {int(cluster.job(number)["Restarts"]) for number in lost}
    assert restarts == {1}, "it went on in the same job, on the other node"
    assert json.loads((sweep / "cluster.json").read_text())["allocations"] == {}
    runs = sorted(path.name for path in sweep.glob("norm=*"))
    assert len(runs) == 2 * MORE_SEEDS
    for run in runs:
        other = tmp_path / "here" / "outputs" / "sweeps" / "try" / run
        assert read(sweep / run).status == "finished"
        assert read(sweep / run).metrics == read(other).metrics, run
        assert history(sweep / run) == history(other), run
        log = (sweep / "logs" / f"{run}.txt").read_text()
        assert log.count("is in use") == 0, log


@pytest.mark.slow
def test_what_slurm_would_refuse_is_refused_in_one_line(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    words = ("launcher=slurm", "launcher.partition=fast", "seeds=2")
    process = begin(tmp_path / "there", cluster, *words)
    output, _ = process.communicate()
    assert process.returncode == 2
    assert output.startswith("error: sbatch refuses such a job (--nodes=1 ")
    assert "invalid partition specified: fast" in output
    assert len(output.splitlines()) == 1
    assert not (tmp_path / "there" / "outputs").exists()


@pytest.mark.slow
def test_a_stopped_command_leaves_its_jobs_and_cancel_ends_them(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    words = ("launcher=slurm", "seeds=2", "trainer.max_steps=100000", "launcher.pack=4")
    process = begin(tmp_path / "there", cluster, *words)
    sweep = tmp_path / "there" / "outputs" / "sweeps" / "try"
    wait_until(lambda: n_logged(sweep, "norm=*") > 20, "some steps", 240, cluster.logs)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130
    assert "the same command adopts them, compare cancel try ends them" in output
    call = [sys.executable, "-m", "lightning_transformer.compare", "cancel", "try"]
    done = subprocess.run(
        call, cwd=tmp_path / "there", env={**environment(), **cluster.env}, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert {read(path.parent).status for path in sweep.glob("norm=*/result.json")} == {"stopped"}
    assert list(sweep.glob("norm=*/checkpoints/step-*"))
    assert cluster.call("squeue", "--noheader") == ""
