"""The command: which runs it takes, what it writes and prints, and how it ends."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lightning_transformer.checkpoint import run_files
from lightning_transformer.evaluate.__main__ import main, notes
from lightning_transformer.evaluate.record import Evaluation
from lightning_transformer.evaluate.table import short_names
from lightning_transformer.runs.result import RunResult, read
from tests.helpers.short_runs import environment, short_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two positions, one of which has a table that ends."""
    folder = tmp_path_factory.mktemp("sweep") / "positions"
    folder.mkdir()
    for position in ("rope", "learned"):
        short_run(folder / f"position={position},seed=1", f"position={position}")
    return folder


@pytest.fixture
def sweep(trained: Path, tmp_path: Path) -> Path:
    """A copy to write into, with a run that failed."""
    copy = Path(shutil.copytree(trained, tmp_path / "positions"))
    (copy / "position=none,seed=1").mkdir()
    RunResult(status="failed", error="ValueError: no").write(copy / "position=none,seed=1")
    (copy / "screening" / "a").mkdir(parents=True)
    RunResult(status="finished").write(copy / "screening" / "a")
    (copy / "comparison.json").write_text("{}", encoding="utf-8")
    return copy


def test_a_grid_over_a_sweep(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(sweep), "data.seq_len=16,48"]) == 1  # one of four was refused
    said = capsys.readouterr()
    assert f"left out  {sweep}/position=none,seed=1: failed" in said.err
    assert f"left out  {sweep}: 1 screening runs" in said.err
    assert "1/4  position=learned,seed=1  split=test data.seq_len=16" in said.err
    assert "learned positions" in said.err
    grid = said.out.split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in grid[1:]] == [
        "position=learned,seed=1",
        "position=rope,seed=1",
    ]
    assert grid[1].split()[2] == "refused"
    for position, n_files in (("rope", 2), ("learned", 2)):
        place = sweep / f"position={position},seed=1" / "evaluations"
        files = sorted(place.glob("*.json"))
        assert len(files) == n_files
        for file in files:
            row = json.loads(file.read_text(encoding="utf-8"))
            if row["error"] is None:
                losses = np.load(place / row["document_losses"])
                assert losses["count"].sum() == row["n_targets"]
            else:
                assert row["metrics"] == {}
                assert row["document_losses"] is None
    same = json.loads(
        (sweep / "position=rope,seed=1/evaluations/split=test,data.seq_len=16.json").read_text()
    )
    assert same["metrics"]["test/loss"] == read(sweep / "position=rope,seed=1").metrics["test/loss"]


def test_one_file_for_all_and_nothing_in_the_run(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, file = sweep / "position=rope,seed=1", tmp_path / "found.json"
    assert main([str(run), "--json", str(file), "split=test,val"]) == 0
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert [row["split"] for row in rows] == ["test", "val"]
    assert all((file.parent / "found" / row["document_losses"]).is_file() for row in rows)
    assert not (run / "evaluations").exists()
    before = file.read_bytes()
    capsys.readouterr()
    assert main([str(run), "--json", str(file)]) == 2
    assert "exists; choose another name" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_what_somebody_else_wrote_stays(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = sweep / "position=rope,seed=1"
    file = run / "evaluations" / "split=test.json"
    file.parent.mkdir()
    file.write_text("mine", encoding="utf-8")
    assert main([str(run)]) == 2
    assert f"{file} holds something else" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["data.seq_len=8"], "no run is named"),
        (["nowhere"], "nowhere is not a run folder: there is no such folder"),
        (["RUN", "norm=layernorm"], "norm is fixed by the run"),
        (["RUN", "data.seqlen=8"], "unknown key data.seqlen; did you mean data.seq_len?"),
        (["RUN", "--checkpoint", "first"], "invalid choice: 'first'"),
        (["RUN", "data.seq_len=48"], "learned positions"),  # the only one: nothing was measured
    ],
)
def test_bad_input_ends_with_one_line_and_status_2(
    sweep: Path, capsys: pytest.CaptureFixture[str], typed: list[str], message: str
) -> None:
    run = str(sweep / "position=learned,seed=1")
    try:
        code = main([run if text == "RUN" else text for text in typed])
    except SystemExit as end:
        code = int(end.code or 0)
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert len(errors) == 1
    assert message in errors[0]


def test_a_failure_at_writing_names_the_file(
    sweep: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, losses: object) -> None:
        raise OSError(28, "No space left on device", "document_losses.npy")

    monkeypatch.setattr(run_files.RunFiles, "save_document_losses", full)
    assert main([str(sweep / "position=rope,seed=1")]) == 2
    assert "No space left on device: 'document_losses.npy'" in capsys.readouterr().err


def test_notes_say_what_the_numbers_leave_out() -> None:
    one = Evaluation("run", "best", "val", n_examples=64, n_left_out=3, n_unknown=5)
    found = list(notes(Evaluation(**{**vars(one), "data": {"n_tokens": 50}})))
    assert found == [
        "the first 64 rows alone; for all add trainer.limit_val_batches=null",
        "10.00% of the tokens are unknown to the tokenizer of run",
    ]
    assert not list(notes(Evaluation("run", "best", "val", n_left_out=0, n_unknown=0)))


def test_runs_are_named_by_what_differs() -> None:
    assert short_names(["a/b/c", "a/b/d"]) == {"a/b/c": "c", "a/b/d": "d"}
    assert short_names(["a/b"]) == {"a/b": "a/b"}


def test_a_sweep_without_a_finished_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s" / "a").mkdir(parents=True)
    RunResult(status="failed", error="ValueError: no").write(tmp_path / "s" / "a")
    assert main([str(tmp_path / "s")]) == 2
    assert f"s holds no finished run ({tmp_path}/s/a: failed)" in capsys.readouterr().err


@pytest.mark.slow
def test_in_a_process_of_its_own(sweep: Path) -> None:
    call = [sys.executable, "-m", "lightning_transformer.evaluate", "position=rope,seed=1"]
    done = subprocess.run(call, cwd=sweep, env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, "1/1  position=rope,seed=1  split=test")
    assert "bits_per_byte" in done.stdout
