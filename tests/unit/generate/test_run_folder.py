from __future__ import annotations

from pathlib import Path

import pytest

from lightning_transformer.checkpoint import run_files
from lightning_transformer.generate import run_folder
from lightning_transformer.generate.run_folder import check_run
from lightning_transformer.runs.result import RunResult
from tests.helpers.short_runs import leave_checkpoint


def run(
    folder: Path, *checkpoints: str, status: str = "finished", error: str | None = None
) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("seed: 1\n", encoding="utf-8")
    for name in checkpoints:
        leave_checkpoint(folder, {}, step=1 + (name == "last"), validated=name == "best")
    RunResult(status=status, error=error).write(folder)
    return folder


def refusal(folder: Path, checkpoint: str = "best") -> str:
    with pytest.raises(ValueError, match=r"run folder|no checkpoint") as caught:
        check_run(folder, checkpoint)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_name_is_that_of_the_writer() -> None:
    assert run_folder.CONFIG == run_files.CONFIG


def test_a_run_with_its_checkpoint_passes(tmp_path: Path) -> None:
    check_run(run(tmp_path / "a", "best", "last"), "best")
    check_run(tmp_path / "a", "last")


def test_no_run_names_the_newest_one(tmp_path: Path) -> None:
    missing = tmp_path / "empty" / "x"
    assert refusal(missing).endswith("no such folder, such as outputs/runs/<date_time>")
    a = run(tmp_path / "sweep" / "a", "best")
    assert refusal(tmp_path / "sweep") == (
        f"{tmp_path / 'sweep'} is not a run folder: it has no config.yaml; "
        f"the newest run there is {a}"
    )
    assert refusal(tmp_path / "sweep" / "b").endswith(f"the newest run there is {a}")


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        ("failed", "ConfigError: data.path is missing", "failed with ConfigError: data.path is"),
        ("running", None, "has not reached its first validation"),
        ("stopped", None, "the run is stopped"),
    ],
)
def test_no_checkpoint_says_how_the_run_went(
    tmp_path: Path, status: str, error: str | None, said: str
) -> None:
    message = refusal(run(tmp_path / "a", status=status, error=error))
    assert message.startswith(f"{tmp_path / 'a'} has no checkpoint best: ")
    assert said in message


def test_the_other_checkpoint_is_offered(tmp_path: Path) -> None:
    message = refusal(run(tmp_path / "a", "last", status="stopped"))
    assert message.endswith("; use --checkpoint last")


def test_a_run_without_a_result(tmp_path: Path) -> None:
    (run(tmp_path / "a") / "result.json").unlink()
    assert refusal(tmp_path / "a").endswith("it has no readable result.json either")
