"""What is typed for Slurm, and what is made of its answers."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import ClassVar

import pytest

from lightning_transformer.compare.run.queue import slurm_engine
from lightning_transformer.compare.run.queue.engine import NotSubmitted
from lightning_transformer.compare.run.queue.slurm_engine import SlurmEngine
from lightning_transformer.errors import ConfigError

ENGINE = SlurmEngine(("--nodes=1",))


@pytest.fixture
def slurm(monkeypatch):
    """Answers calls with `slurm.answer`: code, output, error, or an exception; keeps them."""

    class Slurm:
        answer = (0, "", "")
        calls: ClassVar[list[list[str]]] = []

    def run(call, **options):
        Slurm.calls = [*Slurm.calls, list(call)]
        if isinstance(Slurm.answer, Exception):
            raise Slurm.answer
        code, out, error = Slurm.answer
        return subprocess.CompletedProcess(call, code, out, error)

    monkeypatch.setattr(slurm_engine.subprocess, "run", run)
    monkeypatch.setattr(slurm_engine.getpass, "getuser", lambda: "me")
    return Slurm


def test_a_job_is_submitted_by_name_and_its_number_is_read(slurm):
    slurm.answer = (0, "123;cluster\n", "")
    assert ENGINE.submit("script", "lt-1", Path("/x/50%/a.txt")) == "123"
    call = ["sbatch", "--parsable", "--nodes=1", "--job-name=lt-1", "--output=/x/50%%/a.txt"]
    assert slurm.calls == [call]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((1, "", "sbatch: error: QOSMaxSubmit\nsbatch: error: Batch"), "QOSMaxSubmit; Batch"),
        (subprocess.TimeoutExpired("sbatch", 30), "no answer from sbatch"),
    ],
)
def test_a_submission_that_is_not_confirmed_is_said_to_be_so(slurm, answer, reason):
    slurm.answer = answer
    with pytest.raises(NotSubmitted, match=f"^{reason}$"):
        ENGINE.submit("script", "lt-1", Path("a.txt"))


def test_all_jobs_are_asked_for_in_one_call(slurm):
    slurm.answer = (0, "12|lt-a\n13|my|job\n", "")
    assert ENGINE.living() == {"12": "lt-a", "13": "my|job"}
    assert slurm.calls == [["squeue", "--noheader", "--user=me", "--format=%i|%j"]]
    slurm.answer = (0, "", "")
    assert ENGINE.living() == {}


@pytest.mark.parametrize(
    "answer",
    [
        (1, "", "slurm_load_jobs error: Unable to contact slurm controller"),
        (0, "12|lt-a\n13", ""),
        (0, "slurm_load_jobs: retrying\n", ""),
        subprocess.TimeoutExpired("squeue", 30),
        FileNotFoundError("squeue"),
    ],
)
def test_what_is_no_answer_is_not_taken_for_one(slurm, answer):
    slurm.answer = answer
    assert ENGINE.living() is None


def test_jobs_that_wait_are_cancelled_and_those_that_run_are_asked_to_stop(slurm):
    ENGINE.end(["1", "2"], at_once=False)
    assert slurm.calls == [
        ["scancel", "--state=PENDING", "1", "2"],
        ["scancel", "--signal=TERM", "1", "2"],
    ]


def test_how_a_job_ended(slurm):
    slurm.answer = (0, "JobId=1 JobName=lt-a JobState=TIMEOUT Reason=TimeLimit", "")
    assert ENGINE.why_gone("1") == "TIMEOUT"
    slurm.answer = (1, "", "slurm_load_jobs error: Invalid job id specified")
    assert ENGINE.why_gone("1") == ""


def test_what_sbatch_would_refuse_is_refused_before_anything_is_submitted(slurm):
    slurm.answer = (1, "", "sbatch: error: invalid partition specified: gpus\nallocation failure")
    with pytest.raises(ConfigError) as refused:
        SlurmEngine(("--partition=gpus",)).check("script")
    assert str(refused.value) == (
        "sbatch refuses such a job (--partition=gpus): invalid partition specified: gpus; "
        "allocation failure"
    )
    assert slurm.calls == [["sbatch", "--partition=gpus", "--test-only"]]
    slurm.answer = FileNotFoundError("sbatch")
    with pytest.raises(ConfigError, match=r"^launcher=slurm needs sbatch, which is not here"):
        ENGINE.check("script")
