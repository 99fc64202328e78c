"""What the tests of all options need to know of one, read from its file, its class and its test.

An option is never named here. What a contract cannot know of it stands in the option's own test
file, tests/unit/<path of its module>/test_<module>.py, under one of these names:

small_options(folder) -> {key: value}: every key without a value of its own, with files made in
    folder, and what makes the option quick to build. Needed where the option has such keys.
NEEDS_FULL_TENSORS = True: an optimizer that refuses parameters cut over processes.
SHARD_TOLERANCE: how far its update of shards may be from that of the uncut tensors, 0 by default.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.data.examples import Tokens
from lightning_transformer.paths import CONF
from tests.conftest import options

ROOT = Path(__file__).resolve().parents[2]
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir())


@cache
def content(group: str, name: str) -> dict[str, Any]:
    """The file of an option, interpolations unresolved."""
    # By OmegaConf, because plain YAML 1.1 reads 1e-6 as text.
    found = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"), resolve=False)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def target(group: str, name: str) -> str:
    """The dotted path that the option builds; "" for a set of overrides such as a preset."""
    return str(content(group, name).get("_target_", ""))


def built_class(group: str, name: str) -> Any:
    """The class or function that the option builds."""
    return get_object(target(group, name))


def required(group: str, name: str) -> list[str]:
    """Keys of the option without a value of their own."""
    return [key for key, value in content(group, name).items() if value == "???"]


def placeholders(group: str, name: str) -> list[str]:
    """Overrides with which the option composes; what they name is not read by composing."""
    return [f"{group}.{key}=x" for key in required(group, name)]


def own_test(group: str, name: str) -> Path:
    """Where the option's own test is: the mirror of its module."""
    *folders, module, _ = target(group, name).split(".")[1:]
    return ROOT.joinpath("tests", "unit", *folders, f"test_{module}.py")


def stated(group: str, name: str, what: str, default: Any) -> Any:
    """What the option's own test file says under a name of this module's docstring."""
    file = own_test(group, name)
    if not target(group, name) or not file.exists():
        return default
    module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    return getattr(importlib.import_module(module), what, default)


def small(group: str, name: str, folder: Path) -> list[str]:
    """Overrides with which the option is built; fails with what its author must write."""
    make = stated(group, name, "small_options", None)
    given: dict[str, Any] = make(folder) if make is not None else {}
    lacking = [key for key in required(group, name) if key not in given]
    if lacking:
        pytest.fail(
            f"{group}={name} has no value for {', '.join(lacking)}: in "
            f"{own_test(group, name).relative_to(ROOT)}, define small_options(folder), which "
            "writes small files there and returns {key: value} for these keys"
        )
    return [f"{group}.{key}={value}" for key, value in given.items()]


def chosen(cfg: DictConfig, group: str) -> str:
    """The option of a group that a configuration has, by what it builds."""
    (name,) = (n for n in options(group) if target(group, n) == cfg[group]._target_)
    return name


def sets_other_groups(group: str) -> bool:
    """Whether its options choose those of other groups for the whole run."""
    files = [path.read_text(encoding="utf-8") for path in (CONF / group).glob("*.yaml")]
    return any("@_global_." in text or "@package _global_" in text for text in files)


def model_of(task: str) -> str:
    """An architecture that a task can do with; a bidirectional one where it takes any."""
    return min(models_of(task), key=lambda name: bool(built_class("model", name).causal))


def models_of(task: str) -> list[str]:
    """The architectures that a task can do with."""
    kind = built_class("task", task)
    return [
        name
        for name in options("model")
        if kind.causal in (None, (found := built_class("model", name)).causal)
        and kind.needs_source in (None, found.has_source)
    ]


def without_scores() -> list[str]:
    """The kinds of attention on which no pattern, rotation or bias can act."""
    kinds = {name: built_class("attention", name) for name in options("attention")}
    return [name for name, kind in kinds.items() if not getattr(kind, "has_scores", True)]


def source_of(example: type, *, own_files: bool = True) -> str:
    """A data source of a kind of example, one of the user's own files or one that needs none."""
    fits = [
        name
        for name in options("data")
        if built_class("data", name).example is example
        and bool(required("data", name)) == own_files
    ]
    return fits[0]


def used_with(group: str) -> list[str]:
    """Choices that make a run use a group that the default run does not use."""
    for task in options("task"):
        if f"${{{group}}}" in content("task", task).values():
            return [f"model={model_of(task)}", f"task={task}"]
    for data in options("data"):
        is_text = built_class("data", data).example is Tokens  # as the default run reads
        if is_text and f"${{{group}}}" in content("data", data).values():
            return [f"data={data}"]
    raise AssertionError(f"no option of conf/task or conf/data refers to {group}")
