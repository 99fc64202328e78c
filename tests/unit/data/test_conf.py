"""The option files of data, tokenizer and packing: keys, defaults and composition."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import get_type_hints

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import get_class, instantiate

from tests.conftest import options
from tests.helpers.variants import built_class, content, small

CONF = Path(__file__).parents[3] / "conf"
FILES = [
    p for group in ("data", "tokenizer", "packing") for p in sorted((CONF / group).glob("*.yaml"))
]


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_keys_and_defaults_are_those_of_the_signature(path):
    content = yaml.safe_load(path.read_text())
    target = get_class(content.pop("_target_"))
    content.pop("defaults", None)
    assert target.__module__.endswith(f".{path.stem}")
    if target.__init__ is object.__init__:
        assert content == {}
        return
    parameters = inspect.signature(target).parameters
    hints = get_type_hints(target.__init__)
    assert list(content) != []
    assert set(content) == set(parameters)
    for key, value in content.items():
        default = parameters[key].default
        value = tuple(value) if isinstance(value, list) else value
        if value == f"${{{key}}}":  # comes from its group
            continue
        if default is inspect.Parameter.empty:
            assert value == "???"
        else:
            assert value == default
            assert type(value) is type(default)
            assert isinstance(default, Sequence if value == () else hints[key])


def composed(*overrides: str):
    with initialize_config_dir(str(CONF), version_base=None):
        return compose(overrides=list(overrides))


def brought(name: str) -> dict[str, str]:
    """The options of other groups that a source's file chooses, by group."""
    entries = [e for e in content("data", name).get("defaults", []) if isinstance(e, dict)]
    pairs = [(place.partition("@")[0].strip("/"), o) for e in entries for place, o in e.items()]
    return dict(pairs)


@pytest.mark.parametrize("name", options("data"))
def test_a_source_can_be_built_and_brings_its_tokenizer(name, tmp_path):
    typed = [f"+data={name}", "+cleaning=none", *small("data", name, tmp_path)]
    data = instantiate(composed(*typed).data)
    assert data.name == name
    others = brought(name)
    assert "tokenizer" in others
    for group, option in others.items():
        assert type(getattr(data, group)) is built_class(group, option)


def test_tokenizer_and_packing_can_be_chosen():
    overrides = ["tokenizer=bpe", "tokenizer.vocab_size=300", "packing=documents"]
    data = instantiate(composed("+data=pydocs", *overrides).data)
    assert data.tokenizer.vocab_size == 300
    assert type(data.packing).__name__ == "Documents"
    chosen = composed("+data=restore", "tokenizer=file", "tokenizer.path=tokenizer.json")
    assert instantiate(chosen.data).tokenizer.path == "tokenizer.json"
