"""Profilers print, and leave their report in the run folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_transformer.training.debug.profiler import N_SHOWN, PROFILERS, profile_lines
from tests.helpers.short_runs import short_run

WORDS = {"simple": "run_training_batch", "advanced": "Profile stats for", "pytorch": "Self CPU"}


@pytest.mark.parametrize(
    "name",
    [
        "simple",
        pytest.param("advanced", marks=pytest.mark.slow),
        pytest.param("pytorch", marks=pytest.mark.slow),
    ],
)
def test_a_profiler_prints_and_leaves_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    result = short_run(tmp_path / "run", f"trainer.profiler={name}")
    assert result.status == "finished"
    file = tmp_path / "run" / "fit-profile.txt"
    assert WORDS[name] in file.read_text()
    said = capsys.readouterr().out.splitlines()
    assert f"profile   {file}" in said
    (first,) = [i for i, line in enumerate(said) if line.startswith("FIT Profiler Report")]
    assert said.index(f"profile   {file}") - first <= N_SHOWN
    assert list(tmp_path.glob("run/test-profile.txt"))


def test_every_profiler_has_a_case() -> None:
    assert set(WORDS) == set(PROFILERS)


def test_a_run_without_a_profiler_has_nothing_to_show(tmp_path: Path) -> None:
    assert list(profile_lines(tmp_path)) == []


def test_lines_of_dashes_are_left_out_and_columns_closed_up(tmp_path: Path) -> None:
    text = "FIT Profiler Report\n\n-----\n|  Action   \t|  Mean\t|\n-----\n" + "x\n" * 40
    (tmp_path / "fit-profile.txt").write_text(text)
    lines = list(profile_lines(tmp_path))
    assert lines[:2] == ["FIT Profiler Report", "|  Action  |  Mean  |"]
    assert len(lines) == N_SHOWN + 1
