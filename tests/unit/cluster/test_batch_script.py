"""The batch script: what Slurm reads of it, what it runs, and when it queues its job again."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_transformer.cluster.__main__ import main
from tests.helpers.short_runs import ROOT, short, short_run

# Stand in for Slurm: srun ends as it is told, and both write down how they were called.
FAKES = {
    "srun": 'printf "%s\\n" "$@" > srun.txt\nexit "$CODE"\n',
    "scontrol": 'echo "$@" > scontrol.txt\n',
}


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["script", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["script", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    return line.removeprefix("error: ")


def options(script: str) -> list[str]:
    """What Slurm reads: it stops at the first line that is neither empty nor a comment."""
    lines = script.splitlines()
    assert lines[0] == "#!/bin/bash"
    end = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    return [line.removeprefix("#SBATCH ") for line in lines[:end] if line.startswith("#SBATCH ")]


def executed(script: str, folder: Path, code: int) -> tuple[int, list[str], str]:
    """Run a script whose srun ends with a code: its own code, srun's arguments, scontrol's."""
    folder.mkdir()
    for name, text in FAKES.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o755)
    (folder / "run.sh").write_text(script)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "CODE": str(code), "SLURM_JOB_ID": "17"}
    done = subprocess.run(["bash", "run.sh"], cwd=folder, env=env, check=False)
    called = folder / "scontrol.txt"
    return (
        done.returncode,
        (folder / "srun.txt").read_text().splitlines(),
        called.read_text().strip() if called.exists() else "",
    )


@pytest.mark.parametrize("code", [0, 1, 2, 130, 137, 143])
def test_only_what_a_signal_stopped_is_queued_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    script = printed(capsys, "seed=1")
    ended, _, requeued = executed(script, tmp_path / "job", code)
    assert (ended, requeued) == (code, "requeue 17" if code == 143 else "")


def test_the_run_is_typed_as_it_was_in_a_folder_that_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ["norm=layernorm", "data=text", "data.path='my book (1).txt'", "trainer.max_steps=20"]
    script = printed(capsys, *typed, "schedule.warmup_steps=2")
    _, called, _ = executed(script, tmp_path / "job", 0)
    program = [sys.executable, "-m", "lightning_transformer"]
    assert called == [
        "--wait=300",
        *program,
        *typed,
        "schedule.warmup_steps=2",
        "hydra.run.dir=outputs/runs/job_17",
        "resume=auto",
    ]
    script = printed(capsys, "resume=auto", "hydra.run.dir=a b")
    _, called, _ = executed(script, tmp_path / "other", 0)
    assert called[-2:] == ["hydra.run.dir=a b", "resume=auto"]


def test_nodes_and_tasks_are_those_of_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--time=08:00:00", "--exclusive", "--signal=TERM@300", "--job-name=night"]
    trainer = ["trainer=ddp", "trainer.devices=4", "trainer.num_nodes=2"]
    assert options(printed(capsys, *given, *trainer)) == [
        "--job-name=night",
        "--nodes=2",
        "--ntasks-per-node=4",
        "--signal=TERM@300",
        "--open-mode=append",
        "--requeue",
        "--time=08:00:00",
        "--exclusive",
    ]
    usual = options(printed(capsys))
    assert usual[1:4] == ["--nodes=1", "--ntasks-per-node=1", "--signal=TERM@120"]


def test_srun_is_given_the_cores_of_a_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Since Slurm 22.05 a step does not take them over from its job."""
    script = printed(capsys, "--cpus-per-task=8")
    assert "--cpus-per-task=8" in options(script)
    _, called, _ = executed(script, tmp_path / "job", 0)
    assert called[:2] == ["--wait=300", "--cpus-per-task=8"]


def test_folders_of_ones_own_options_are_handed_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "norm").mkdir()
    (tmp_path / "norm" / "mine.yaml").write_text(
        "_target_: lightning_transformer.nn.norm.rmsnorm.RMSNorm\n_partial_: true\neps: 1e-5\n"
    )
    script = printed(capsys, f"--config-dir={tmp_path}", "norm=mine")
    _, called, _ = executed(script, tmp_path / "job", 0)
    assert called[4:7] == ["--config-dir", str(tmp_path), "norm=mine"]


def test_a_run_that_goes_on_has_the_nodes_that_it_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    short_run(tmp_path / "run", "trainer.max_steps=3")
    capsys.readouterr()
    monkeypatch.chdir(tmp_path)
    script = printed(capsys, "hydra.run.dir=run", "trainer.max_steps=6", "trainer.num_nodes=3")
    assert "--nodes=3" in options(script)
    assert short(tmp_path)[0] not in script  # the folder knows what was typed before
    assert "unknown key trainer.max_step;" in refused(
        capsys, "hydra.run.dir=run", "trainer.max_step=6"
    )


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        (["nrm=layernorm"], "unknown key nrm; did you mean norm?"),
        (["seed=1,2"], "several values for one key: a script is for one run"),
        (["-m", "seed=1,2"], "-m: a script is for one run; for a sweep add "),
        (["resume=outputs/runs/a"], "resume=outputs/runs/a: the script has resume=auto; "),
        (["--time", "08:00:00"], "08:00:00 is no override; an option of sbatch is --NAME=VALUE"),
        (["-t8"], "-t8 must be an option of sbatch in its long form"),
        (["--comment=a b"], "--comment=a b must be an option of sbatch in its long form"),
        (["--comment=a\nrm"], "--comment=a rm must be an option of sbatch in its long form"),
        (["--nodes=2"], "--nodes is not taken: write trainer.num_nodes=N"),
        (["--ntasks-per-node=2"], "--ntasks-per-node is not taken: write trainer.devices=N"),
        (["--array=1-4"], "--array is not taken: write one script for each run"),
        (["--signal=USR1@60"], "--signal=USR1@60 must be TERM and the seconds before"),
        (["--signal=B:TERM@60"], "--signal=B:TERM@60 must be TERM and the seconds before"),
        (["trainer=ddp"], "trainer.devices=auto does not say how many processes"),
        (["--config-dir=nowhere"], "--config-dir="),
    ],
)
def test_what_could_not_work_is_refused(
    capsys: pytest.CaptureFixture[str], typed: list[str], reason: str
) -> None:
    assert refused(capsys, *typed).startswith(reason)


def test_what_is_advised_is_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    for typed in (["--time=08:00:00"], ["--signal=TERM@300"], ["trainer=ddp", "trainer.devices=1"]):
        printed(capsys, *typed)


def test_printing_needs_no_torch() -> None:
    code = (
        "import sys; from lightning_transformer.cluster.__main__ import main; main(['script']); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_commands_of_the_guide_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "guides" / "clusters.md").read_text(encoding="utf-8")
    found = re.findall(
        r"^python -m lightning_transformer\.cluster script (.+?)(?: \||$)", page, re.M
    )
    assert len(found) >= 2
    for arguments in found:
        printed(capsys, *shlex.split(arguments))
