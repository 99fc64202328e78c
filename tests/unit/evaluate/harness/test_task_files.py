"""Files of tasks are refused in one line, and nothing is imported for that."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lightning_transformer.errors import ConfigError
from lightning_transformer.evaluate.__main__ import main
from lightning_transformer.evaluate.harness import task_files
from lightning_transformer.evaluate.harness.task_files import check_files, read_files


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "task.yaml"
    file.write_text("task: sums\n", encoding="utf-8")
    monkeypatch.setattr(task_files, "find_spec", lambda name: None)
    assert main(["outputs/runs/RUN", "--tasks", str(file)]) == 2
    assert capsys.readouterr().err == (
        "error: --tasks needs the package lm-eval: pip install 'lightning-transformer[eval]'\n"
    )


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    check_files([])
    with pytest.raises(ConfigError, match="it is a folder; give a task's YAML file"):
        check_files([tmp_path])
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: it does not exist"):
        check_files([tmp_path / "nowhere.yaml"])


def test_overrides_beside_tasks_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["RUN", "split=val", "--tasks", str(tmp_path / "task.yaml")]) == 2
    assert "split=val has no effect on --tasks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("group: all\n", "`task` must be the name of one task"),
        ("task: [a, b]\n", "`task` must be the name of one task"),
        ("task: a/b\n", "`task` must be the name of one task"),
        ("task: [\n", "expected"),
    ],
)
@pytest.mark.usefixtures("lm_eval")
def test_a_file_that_names_no_task_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "task.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        read_files([file])
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("lm_eval")
def test_a_name_is_given_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("task: sums\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="task sums is that of"):
        read_files([tmp_path / "a.yaml", tmp_path / "b.yaml"])


def test_the_package_is_imported_only_where_it_is_asked_for() -> None:
    assert not [name for name in sys.modules if name.split(".")[0] == "lm_eval"]
