"""The batch script, run by bash with stand-ins for Slurm's commands and for the programs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lightning_transformer.compare.run.queue import script as module
from lightning_transformer.compare.run.queue.options import Resources
from lightning_transformer.compare.run.queue.orders import Orders, RunOrder
from lightning_transformer.compare.run.queue.script import job_script

# Each writes what it was called with; `srun` ends with the code of the run.
STAND_INS = """\
note() {{ echo "$*" >> {log}; }}
srun() {{ note srun "$@"; note "threads $OMP_NUM_THREADS gpus ${{CUDA_VISIBLE_DEVICES-all}}"
    return {code}; }}
scontrol() {{ note scontrol "$@"; }}
PY() {{ note "${{@:2}}"; [ "$3" != begin ] || return {refused}; }}
SLURM_JOB_ID=7
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no bash")
@pytest.mark.parametrize(
    ("code", "refused", "cancelled", "calls"),
    [
        (0, 0, False, ["begin", "srun", "end 0"]),
        (1, 0, False, ["begin", "srun", "end 1"]),
        (137, 0, False, ["begin", "srun", "end 137"]),
        (143, 0, False, ["begin", "srun", "scontrol requeue 7"]),
        (143, 0, True, ["begin", "srun", "end 143"]),
        (0, 1, False, ["begin"]),
    ],
)
def test_a_job_begins_runs_and_ends_or_is_queued_again(
    tmp_path, monkeypatch, code, refused, cancelled, calls
):
    monkeypatch.setattr(module.sys, "executable", "PY")
    orders = Orders(
        sweep=str(tmp_path),
        engine="slurm",
        code="",
        commit="",
        token="token",
        runs=[RunOrder("norm=a", ["norm=a", "x=a b"], "chain", "token.0")],
        threads=3,
    )
    orders.write()
    if cancelled:
        orders.cancel_file.touch()
    text = job_script(orders, Resources(cpus=3))
    first, rest = text.split("\n", 1)
    assert first == "#!/bin/bash"
    log = tmp_path / "log"
    stand_ins = STAND_INS.format(log=log, code=code, refused=refused)
    done = subprocess.run(["bash"], input=stand_ins + rest, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0 if refused else code, "")
    lines = log.read_text().splitlines()
    assert lines[0] == f"{module.NODE} begin {orders.file}"
    if not refused:
        run = "srun --wait=300 --cpus-per-task=3 PY -m lightning_transformer norm=a x=a b"
        assert lines[1:3] == [run, "threads 3 gpus "]
        last = f"{module.NODE} end {orders.file} {code}" if calls[-1][:3] == "end" else calls[-1]
        assert lines[3:] == [last]
    assert len(lines) == len(calls) + (not refused)


def test_a_pack_is_one_process_that_starts_the_runs(tmp_path):
    run = RunOrder("norm=a", ["norm=a"], "chain", "token.0")
    orders = Orders(str(tmp_path), "slurm", "", "", "token", [run, run], threads=1, gpus=1)
    text = job_script(orders, Resources(gpus=1))
    assert f"srun --ntasks=1 --cpus-per-task=2 {sys.executable} -m {module.PACK} " in text
    assert "CUDA_VISIBLE_DEVICES" not in text


def test_what_a_job_asks_for():
    assert Resources(2, 4, 3, 4).options() == [
        "--nodes=2", "--ntasks-per-node=4", "--cpus-per-task=3", "--requeue", "--open-mode=append",
        "--signal=TERM@120", "--gpus-per-node=4",
    ]  # fmt: skip
    assert Resources(cpus=2).options(pack=5)[2] == "--cpus-per-task=10"
