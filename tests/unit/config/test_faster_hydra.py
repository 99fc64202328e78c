"""Composing is faster and gives what Hydra alone gives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal import defaults_list
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from lightning_transformer.config import faster_hydra
from lightning_transformer.config.compose import composed, composer
from lightning_transformer.paths import CONF
from tests.conftest import options


@pytest.fixture
def as_hydra_does(monkeypatch):
    """Undoes, when called, what `install` did."""
    faster_hydra.install()

    def undo() -> None:
        monkeypatch.setattr(FileConfigSource, "load_config", faster_hydra._parse)
        monkeypatch.setattr(defaults_list, "_create_interpolation_map", faster_hydra._choices)
        monkeypatch.setattr(Hydra, "get_mode", faster_hydra._mode)

    return undo


def text_of(overrides: list[str]) -> str:
    with composer():
        return OmegaConf.to_yaml(composed(overrides))


def test_it_composes_what_hydra_composes(as_hydra_does):
    cases = [[f"experiment={name}", "model.n_layers=7"] for name in options("experiment")[:6]]
    cases += [["preset=llama3"], ["attention=hybrid", "~norm"], ["data=mixture", "debug=fast"]]
    # Twice: what one composition does to its configuration must not reach the next.
    fast = [text_of(case) for case in cases + cases]
    as_hydra_does()
    assert fast == [text_of(case) for case in cases] * 2


def mode_of(overrides: list[str]) -> Any:
    hydra = Hydra.create_main_hydra_file_or_module(None, None, str(CONF), "test")
    try:
        return hydra.get_mode("config", overrides)
    finally:
        GlobalHydra.instance().clear()


def test_the_mode_is_what_hydra_finds(tmp_path, as_hydra_does, monkeypatch):
    (tmp_path / "experiment").mkdir()
    several = "# @package _global_\nhydra:\n  mode: MULTIRUN\n"
    (tmp_path / "experiment" / "several.yaml").write_text(several)
    elsewhere = [f"hydra.searchpath=[file://{tmp_path}]", "experiment=several"]
    cases = [[], ["norm=layernorm", "seed=1,2"], ["hydra.mode=MULTIRUN"], elsewhere]
    cases += [[f"experiment={name}"] for name in options("experiment")[:3]]
    composed_for = []
    compose_config = Hydra.compose_config
    monkeypatch.setattr(
        Hydra, "compose_config", lambda *a, **k: composed_for.append(1) or compose_config(*a, **k)
    )
    fast = [mode_of(case) for case in cases]
    assert len(composed_for) == 2  # where it could be set
    as_hydra_does()
    assert fast == [mode_of(case) for case in cases]
    assert fast[2] == fast[3] == RunMode.MULTIRUN


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def test_choices_that_are_interpolations_are_resolved(tmp_path, as_hydra_does):
    config = "defaults:\n  - a: x\n  - b: ${a}\n  - _self_\n"
    write(tmp_path, {"config.yaml": config, "a/x.yaml": "n: 1", "a/y.yaml": "n: 2"})
    write(tmp_path, {"b/x.yaml": "m: 3", "b/y.yaml": "m: 4"})
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        assert compose("config", ["a=y"]) == {"a": {"n": 2}, "b": {"m": 4}}
        assert compose("config") == {"a": {"n": 1}, "b": {"m": 3}}


def test_a_file_that_was_written_to_is_read_again(tmp_path, as_hydra_does):
    write(tmp_path, {"config.yaml": "defaults: [a: x, _self_]", "a/x.yaml": "n: 1"})
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        first = compose("config")
        first.a.n = 5
        assert compose("config").a.n == 1
        write(tmp_path, {"a/x.yaml": "n: 2"})
        os.utime(tmp_path / "a/x.yaml", ns=(1, 1))  # a clock may not have moved since
        assert compose("config").a.n == 2
