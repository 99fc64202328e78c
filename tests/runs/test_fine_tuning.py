"""Runs that start with trained weights: of a run, and of a model of Hugging Face."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file

from lightning_transformer.api.train import train
from lightning_transformer.convert.model_folder import ModelFolder
from lightning_transformer.export.__main__ import main as export
from lightning_transformer.runs.result import RunResult, read
from tests.helpers.model_folders import model_of, save
from tests.helpers.short_runs import difference, history, short, type_in

OWN = (
    "attention=gqa",
    "attention.n_heads=4",
    "attention.n_kv_heads=1",
    "norm.eps=1e-3",
    "position=rope_nope",
    "activation=geglu",
    "residual=sandwich",
    "output_layer.softcap=20.0",
)
DATA = ("data=", "data.", "trainer", "callbacks", "logger", "guard")


def data_only(typed: list[str]) -> list[str]:
    """What is typed of data and trainer, nothing of the model."""
    return [text for text in typed if text.startswith(DATA)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run of an architecture of its own, and what was typed for it."""
    folder = tmp_path_factory.mktemp("base")
    typed = short(folder, *OWN, "trainer.val_every=6")
    train(typed, folder / "run")
    return folder / "run", typed


def step_0(folder: Path) -> float:
    (row,) = (row for row in history(folder) if row["step"] == "0")
    return float(row["val/loss"])


def test_the_first_validation_is_the_last_one_of_the_run(
    base: tuple[Path, list[str]], tmp_path: Path
) -> None:
    run, typed = base
    rest = data_only(typed)
    result = train([*rest, f"init_from={run}"], tmp_path / "next")
    assert step_0(tmp_path / "next") == read(run).metrics["val/loss"]
    assert result.init_from["path"] == str(run)
    assert result.init_from["family"] == "run"
    assert result.fresh == []
    for key, value in (("norm", "rmsnorm"), ("position", "rope_nope"), ("activation", "geglu")):
        assert result.choices[key] == value
    assert result.n_params == read(run).n_params


def test_a_run_goes_on_without_the_weights_that_it_started_with(
    base: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, typed = base
    start = Path(shutil.copytree(run, tmp_path / "start"))
    rest = [text for text in data_only(typed) if not text.startswith("trainer.max_steps")]
    rest += [f"init_from={start}", "schedule=constant", "schedule.warmup_steps=2"]
    train([*rest, "trainer.max_steps=6"], tmp_path / "whole")
    train([*rest, "trainer.max_steps=3", "trainer.val_every=3"], tmp_path / "part")
    shutil.rmtree(start / "checkpoints")
    part = tmp_path / "part"
    monkeypatch.chdir(tmp_path)
    assert type_in(monkeypatch, f"resume={part}", "trainer.max_steps=6") == 0
    assert difference(part, tmp_path / "whole") == 0.0
    assert read(part).init_from == read(tmp_path / "whole").init_from


def test_there_and_back_through_the_format_of_hugging_face(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = short(tmp_path, "preset=llama3", "model.n_layers=1", "trainer.val_every=6")
    train(typed, tmp_path / "run")
    place = tmp_path / "exported"
    assert export([str(tmp_path / "run"), "--to", str(place)]) == 0
    card = (place / "README.md").read_text()
    result = read(tmp_path / "run")
    assert "license: # fill in" in card
    assert result.data["sha256"][:16] in card
    assert f"{result.steps:,} steps" in card
    assert ModelFolder(place).config["bos_token_id"] == 257
    train([*data_only(typed), f"init_from={place}"], tmp_path / "next")
    assert step_0(tmp_path / "next") == result.metrics["val/loss"]
    assert read(tmp_path / "next").init_from["family"] == "llama"
    assert export([str(tmp_path / "run"), "--to", str(place)]) == 2
    assert "is not empty; name a new folder" in capsys.readouterr().err
    train([*data_only(typed), f"init_from={place}", "adapter=lora"], tmp_path / "lora")
    alone = tmp_path / "alone"
    assert export([str(tmp_path / "lora"), "--to", str(alone), "--adapter"]) == 0
    content = json.loads((alone / "adapter_config.json").read_text())
    assert content["base_model_name_or_path"] == str(place)
    assert content["target_modules"] == ["q_proj", "v_proj"]
    assert len(load_file(alone / "adapter_model.safetensors")) == 4  # A and B of one layer's two
    assert export([str(tmp_path / "run"), "--to", str(tmp_path / "x"), "--adapter"]) == 2
    assert "has adapter=none, which adds no part; leave it out" in capsys.readouterr().err


def test_a_classifier_from_a_model_of_hugging_face_is_recorded_and_cannot_be_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save(model_of("bert"), tmp_path / "bert")
    letters = [f"{chr(97 + i % 26)} {chr(97 + i // 26)}" for i in range(200)]
    rows = "".join(f"the {'fox' if i % 2 else 'dog'} {letters[i]},{i % 2}\n" for i in range(200))
    (tmp_path / "texts.csv").write_text(f"text,label\n{rows}")
    path = f"data.path={tmp_path / 'texts.csv'}"
    data = ["data=labelled", path, "data.seq_len=8", "data.batch_size=8", "callbacks=none"]
    few = ["trainer=cpu", "trainer.max_steps=3", "trainer.val_every=3", "logger=none"]
    result = train(
        [f"init_from={model}", "task=classification", *data, *few],
        tmp_path / "run",
    )
    assert isinstance(result, RunResult)
    assert result.fresh == ["task.head.weight", "task.head.bias"]
    recorded = json.loads((tmp_path / "run" / "result.json").read_text())["init_from"]
    assert recorded == {
        "path": str(model),
        "family": "bert",
        "sha256": ModelFolder(model).digest(),
    }
    assert export([str(tmp_path / "run"), "--to", str(tmp_path / "x")]) == 2
    assert "task=classification is in the way" in capsys.readouterr().err
