"""`lt.train`: silent, recorded as from the command line, refusals in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lightning_transformer as lt
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.result import read


def test_train_runs_in_silence_and_gives_what_is_on_disk(
    short: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = lt.train(short, tmp_path / "run")
    assert capsys.readouterr() == ("", "")
    assert (result.status, result.steps, result.folder) == ("finished", 2, tmp_path / "run")
    stored = read(tmp_path / "run")
    assert stored.metrics == result.metrics
    assert stored.choices["norm"] == "rmsnorm"
    assert "test/loss" in result._repr_html_()
    assert f"{result.metrics['test/loss']:.4g}" in repr(result)
    with pytest.raises(ConfigError, match="holds a run already"):
        lt.train(short, tmp_path / "run")


def test_a_new_folder_is_named_as_on_the_command_line(
    short: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda *_: "2030-01-02_03-04-05")
    first, second = lt.train(short), lt.train(short)
    assert first.folder.parent == Path("outputs/runs")
    assert first.folder.name.startswith("2030-01-02_03-04-05_callbacks=none,")
    assert second.folder == Path(f"{first.folder}~2")
    assert first.config_sha256 == second.config_sha256
    assert first.metrics == second.metrics


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["norm=rmsnrm"], "unknown option norm=rmsnrm"),
        (["model.n_layer=2"], "unknown key model.n_layer"),
        (["model.d_model=0"], "d_model=0 must be"),
        (["norm=rmsnorm,dyt"], "several values for one key"),
        (["match=params"], "match=params is solved for by"),
        (["hydra.run.dir=x"], "hydra.run.dir=x is for the command line"),
        (["resume=x"], "resume=x is for the command line"),
        ("norm=dyt", r'write \["norm=dyt"\]'),
    ],
)
def test_train_refuses_in_one_line(overrides: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        lt.train(overrides, tmp_path / "run")
    assert "\n" not in str(caught.value)
    folder = tmp_path / "run"
    assert not folder.exists() or read(folder).status == "failed"
