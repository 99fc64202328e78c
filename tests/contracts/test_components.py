"""Every option on disk keeps the contract of its kind, and its file tells the whole signature.

All cases are made from the files below conf/: a new option is tested without editing a list.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.build import build
from lightning_transformer.config.compose import composer, groups, register
from lightning_transformer.config.overrides import SEVERAL
from lightning_transformer.paths import CONF
from lightning_transformer.testing import checks
from tests.conftest import TINY, compose_config, exchanged, options
from tests.helpers.variants import GROUPS, placeholders, required, sets_other_groups, used_with

CHECKS: dict[str, Callable[[Any], None]] = {
    "norm": checks.check_norm,
    "qk_norm": checks.check_norm,
    "activation": checks.check_activation,
    "ffn": checks.check_ffn,
    "embedding": checks.check_embedding,
    "position": checks.check_position,
    "pattern": checks.check_pattern,
    "residual": checks.check_residual,
    "attention": checks.check_attention,
    "block": checks.check_block,
    "kernel": checks.check_kernel,
    "init": checks.check_init,
    "schedule": checks.check_schedule,
    "pooling": checks.check_pooling,
}

# Parameters that a caller gives: sizes, and objects that exist only once a run has begun.
GIVEN = {
    "adapter": {"model", "seed"},
    "attention": {"dim"},
    "block": {"dim", "cross"},
    "embedding": {"vocab_size", "d_model"},
    "ffn": {"dim"},
    "freeze": {"model"},
    "guard": {"log_every", "say"},
    "model": {"vocabulary", "labels", "seed", "dropout_seed"},
    "memory_tokens": {"dim"},
    "norm": {"dim"},
    "optimizer": {"model"},
    "position": {"d_model", "n_heads", "head_dim", "max_len"},
    "qk_norm": {"dim"},
    "rates": {"model"},
    "residual": {"dim", "norm"},
}

# Option files whose module has another name, and why.
OTHER_MODULE = {
    "attention/mha": "multi_head",  # one class with as many key/value heads as n_kv_heads says
    "attention/gqa": "multi_head",
    "attention/mqa": "multi_head",
    "pattern/both": "base",  # what `&` makes of two patterns, part of their contract
    "trainer/auto": "trainer",  # a set of defaults for one function
}

# Parameters without a default in Python although the file has one, and why.
# They are those of the base of all models, which nobody builds.
NO_DEFAULT = {"d_model", "max_len", "dropout", "stochastic_depth"}

# Keys that stand below the one whose comment speaks of both.
PAIRS = {"val_target", "test_target"}


def _files() -> list[str]:
    return sorted(str(p.relative_to(CONF).with_suffix("")) for p in CONF.rglob("*/*.yaml"))


def _content(option: str) -> dict[str, Any]:
    # By OmegaConf, because plain YAML 1.1 reads 1e-6 as text.
    content = OmegaConf.to_container(OmegaConf.load(CONF / f"{option}.yaml"), resolve=False)
    assert isinstance(content, dict)
    return content


def _keys(option: str) -> dict[str, Any]:
    content = _content(option)
    own = {k: v for k, v in content.items() if not k.startswith("_") and k != "defaults"}
    entries = [entry for entry in content.get("defaults", []) if isinstance(entry, dict)]
    places = [place.partition("@")[2] for entry in entries for place in entry]
    # An option of another group at a key of this one, as the parts of pattern=both.
    return own | {place: "${another group}" for place in places if place.isidentifier()}


FILES = _files()
TARGETED = [option for option in FILES if "_target_" in _content(option)]
# Of some groups a run may have several options: their files have entries, each with a class.
ENTRIES = [
    (option, name)
    for option in FILES
    if option.split("/")[0] in SEVERAL
    for name, node in _content(option).items()
    if name != "defaults"
]
COMPONENTS = [f"{group}/{option}" for group in sorted(CHECKS) for option in options(group)]


def test_options_were_found() -> None:
    assert len(FILES) > 50
    assert {"norm/rmsnorm", "position/rope", "attention/gqa"} <= set(COMPONENTS)
    assert [group for group in CHECKS if not options(group)] == []


@pytest.mark.parametrize("option", COMPONENTS)
def test_contract(option: str) -> None:
    group, name = option.split("/")
    if "defaults" in _content(option):
        cfg = compose_config(option.replace("/", "="))
    else:
        cfg = exchanged(compose_config(), **{group: name})
    CHECKS[group](build(cfg, group))


@pytest.mark.parametrize("option", options("loss"))
def test_contract_of_losses(option: str) -> None:
    cfg = exchanged(compose_config(), loss=option)
    checks.check_loss(partial(build, cfg, "loss"))


# Options that bring others or need values are composed one by one; of the rest, many at once.
# So are those that only another task than that of the default run has.
ABSENT = [g for g in GROUPS if not sets_other_groups(g) and g not in compose_config()]
ALONE = [
    group
    for group in GROUPS
    if sets_other_groups(group)
    or group in ABSENT
    or any(required(group, name) for name in options(group))
]
TOGETHER = sorted(set(GROUPS) - set(ALONE))


def _missing(content: dict[str, Any], cfg: Any, prefix: str) -> list[str]:
    """Keys of an option file that did not come through to the composed configuration."""
    lost = []
    for key, value in content.items():
        there = cfg.get(key) if isinstance(cfg, dict) else None
        if isinstance(value, dict) and isinstance(there, dict):
            lost += _missing(value, there, f"{prefix}{key}.")
        elif key != "defaults" and value != there and value != "???":
            lost.append(f"{prefix}{key}={there}")
    return lost


def _assert_came_through(option: str, cfg: DictConfig) -> None:
    composed = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(composed, dict)
    text = (CONF / f"{option}.yaml").read_text(encoding="utf-8")
    group = option.split("/")[0]
    place = composed if "@package _global_" in text else composed[group]
    assert _missing(_content(option), place, "") == []


@pytest.mark.slow
@pytest.mark.parametrize("option", [o for o in FILES if o.split("/")[0] in ALONE])
def test_option_composes(option: str) -> None:
    group, name = option.split("/")
    needs = used_with(group) if group in ABSENT else []
    cfg = compose_config(*needs, f"{group}={name}", *placeholders(group, name))
    _assert_came_through(option, cfg)


@pytest.mark.parametrize("number", range(max(len(options(group)) for group in TOGETHER)))
def test_options_compose(number: int) -> None:
    chosen = {group: options(group)[number % len(options(group))] for group in TOGETHER}
    cfg = compose_config(*(f"{group}={name}" for group, name in chosen.items()))
    for group, name in chosen.items():
        _assert_came_through(f"{group}/{name}", cfg)


def test_every_folder_is_a_group_that_hydra_lists() -> None:
    register()
    with composer() as loader:
        found = groups(loader)
    assert {f"{g}/{o}" for g, names in found.items() for o in names} == set(FILES)


@pytest.mark.parametrize("option", TARGETED)
def test_the_file_has_the_name_of_its_module(option: str) -> None:
    name = option.split("/")[1]
    module = _content(option)["_target_"].split(".")[-2]
    assert module == OTHER_MODULE.get(option, name)


def _parameters(target: Any) -> dict[str, inspect.Parameter]:
    """The named ones of a function or of a class and the base that it passes the rest to."""
    found: dict[str, inspect.Parameter] = {}
    for home in target.__mro__ if inspect.isclass(target) else [target]:
        if inspect.isclass(home) and "__init__" not in vars(home):
            continue
        if not home.__module__.startswith("lightning_transformer"):
            break  # torch's own constructors are closed
        taken = inspect.signature(vars(home)["__init__"] if inspect.isclass(home) else home)
        found = {**taken.parameters, **found}
        if not any(p.kind is p.VAR_KEYWORD for p in taken.parameters.values()):
            break
    return {n: p for n, p in found.items() if n != "self" and p.kind is not p.VAR_KEYWORD}


def _made_defaults(target: Any) -> dict[str, Any]:
    """Defaults of a dataclass that are made anew for each object, such as lists."""
    fields = dataclasses.fields(target) if dataclasses.is_dataclass(target) else ()
    made = {field.name: field.default_factory for field in fields}
    return {name: make() for name, make in made.items() if make is not dataclasses.MISSING}


@pytest.mark.parametrize("option", TARGETED)
def test_keys_are_the_options_of_the_signature(option: str) -> None:
    taken = set(_parameters(get_object(_content(option)["_target_"])))
    given = GIVEN.get(option.split("/")[0], set())
    assert given <= taken
    assert set(_keys(option)) == taken - given


@pytest.mark.parametrize("option", TARGETED)
def test_defaults_are_those_of_the_signature(option: str) -> None:
    parameters = _parameters(get_object(_content(option)["_target_"]))
    for key, value in _keys(option).items():
        if isinstance(value, str) and (value.startswith("${") or value == "???"):
            continue  # comes from another group, or from the user
        if key == "n_kv_heads":
            continue  # what tells the kinds of attention apart
        default = parameters[key].default
        if option.startswith("model/") and key in NO_DEFAULT:
            assert default is inspect.Parameter.empty
            continue
        assert default is not inspect.Parameter.empty, f"{key} has no default in Python"
        if isinstance(default, tuple):  # a default that nobody can change
            default = list(default)
        assert value == default, key
        assert type(value) is type(default), f"{key}: {value!r} is not like {default!r}"


@pytest.mark.parametrize("option", TARGETED)
def test_options_are_annotated(option: str) -> None:
    parameters = _parameters(get_object(_content(option)["_target_"]))
    bare = [key for key in _keys(option) if parameters[key].annotation is inspect.Parameter.empty]
    assert bare == []


@pytest.mark.parametrize(("option", "entry"), ENTRIES)
def test_the_keys_of_an_entry_are_the_options_of_its_class(option: str, entry: str) -> None:
    node = _content(option)[entry]
    parameters = _parameters(get_object(node["_target_"]))
    made = _made_defaults(get_object(node["_target_"]))
    keys = {key: value for key, value in node.items() if not key.startswith("_")}
    assert set(keys) == set(parameters) - {"save_dir"}
    for key, value in keys.items():
        assert parameters[key].annotation is not inspect.Parameter.empty, key
        default = made.get(key, parameters[key].default)
        if "???" in str(value):
            assert default is inspect.Parameter.empty, key
        elif not str(value).startswith("${"):
            assert value == default, key
            assert type(value) is type(default), key


KEY_LINE = re.compile(r"^ *(?P<key>[a-z]\w*): *(?P<value>[^#]*?) *(?:# *(?P<comment>.+))?$")


@pytest.mark.parametrize("option", sorted({*TARGETED, *(option for option, _ in ENTRIES)}))
def test_every_value_has_a_comment(option: str) -> None:
    bare = []
    for line in (CONF / f"{option}.yaml").read_text(encoding="utf-8").splitlines():
        found = KEY_LINE.match(line)
        if found is None or found["key"] in PAIRS or found["value"].startswith("${"):
            continue
        if found["value"] and found["comment"] is None:
            bare.append(line)
    assert bare == []


def test_tiny_overrides_are_keys() -> None:
    cfg = compose_config(*TINY)
    assert (cfg.model.d_model, cfg.data.seq_len, cfg.data.batch_size) == (32, 16, 4)


# The checks themselves: each of these is broken in one way that a check must see.
