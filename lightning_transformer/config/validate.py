"""Checks of a composed configuration that need no torch: keys, types, values, unused groups.

Every problem is one ConfigError of one line: key, value, rule, and what would be right.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lightning_transformer.config.overrides import SEVERAL
from lightning_transformer.config.signatures import UnknownTarget, missing_packages, signature
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.folder_name import check_folder_name
from lightning_transformer.runs.secrets import is_secret, redacted

# Keys that say where and how a run is done, not what it computes. What match= solves for is in
# the configurations of the runs that `compare run` starts.
UNCHECKED = ("hydra", "sweep", "resume")
NOT_IDENTITY = (*UNCHECKED, "match", "launcher")
# A key that has no effect where the other one has a value.
REPLACED = {"schedule.warmup": "schedule.warmup_steps"}

SCALARS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "str": (str,),
    "None": (type(None),),
}
KIND_NAMES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "None": "null",
}
PARTS = "Parts"  # annotation of the sources of a mixture


def nearest(name: str, among: Iterable[str]) -> str:
    """ " (did you mean x?)", or nothing if no name is near."""
    near = difflib.get_close_matches(name, list(among), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def plain(cfg: DictConfig) -> dict[str, Any]:
    """The configuration that a run's results depend on, resolved, as plain dicts and lists.

    What is recorded, shown and compared of a configuration is this, so secrets in it are hidden.
    """
    keys = [str(key) for key in cfg if key not in NOT_IDENTITY]
    try:
        content = OmegaConf.to_container(OmegaConf.masked_copy(cfg, keys), resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).splitlines()[0]) from None
    assert isinstance(content, dict)
    return {str(key): redacted(value, is_secret(str(key))) for key, value in content.items()}


def check(cfg: DictConfig, chosen: Mapping[str, str]) -> None:
    """Raise ConfigError for the first thing that cannot work.

    chosen: groups that the user picked an option of (group -> option); each must be used.
    """
    for group in SEVERAL:
        check_entries(cfg.get(group, {}), group)
    for key in cfg:
        if key not in UNCHECKED and not OmegaConf.is_missing(cfg, key):
            check_node(cfg[key], str(key))
    check_used(cfg, chosen)
    if cfg.get("fresh") and cfg.get("init_from") is None:
        raise ConfigError(f"fresh={cfg.fresh} has no effect without init_from=; leave it out")
    if "sweep" in cfg:
        check_folder_name("sweep", str(cfg.sweep))
    for key in ("seed", "init_seed"):
        if key in cfg and (type(cfg[key]) is not int or not 0 <= cfg[key] < 2**63):
            raise ConfigError(
                f"{key}={cfg[key]!r} must be a whole number from 0 to 2**63, such as 1"
            )


def check_entries(node: Any, group: str) -> None:
    """Hold a group of which a run may have several options: each is an entry with a class."""
    if "_target_" in node:
        raise ConfigError(
            f"{group}._target_={node._target_} needs a name of its own, because a run may have "
            f"several: {group}.mine._target_={node._target_}, in a file `mine:` above it"
        )
    for name, entry in node.items():
        if not isinstance(entry, DictConfig) or "_target_" not in entry:
            raise ConfigError(f"{group}.{name} names no class: add {group}.{name}._target_=...")


def check_replaced(typed: Iterable[str], cfg: DictConfig) -> None:
    """Refuse a typed key whose place another one takes, or that the task does not read."""
    for key in typed:
        group, _, name = key.rpartition(".")
        if group == "output_layer" and name not in cfg.task:
            kind = str(cfg.task._target_).rpartition(".")[2]
            raise ConfigError(f"{key} has no effect on the task {kind}; leave it out")
        other = REPLACED.get(key)
        value = None if other is None else OmegaConf.select(cfg, other)
        if value is not None:
            raise ConfigError(
                f"{key} has no effect beside {other}={value}; leave it out, or add {other}=null"
            )


def check_node(node: Any, key: str) -> None:
    """Check one part of the configuration and all below it; key is its full name."""
    if isinstance(node, ListConfig):
        for i, item in enumerate(node):
            check_node(item, f"{key}.{i}")
    if not isinstance(node, DictConfig) or node._is_none():
        return
    missing = [str(name) for name in node if OmegaConf.is_missing(node, name)]
    if missing:
        raise ConfigError(
            f"{key}.{missing[0]} has no value yet: add {key}.{missing[0]}=... to the command line"
        )
    if "_target_" in node:
        check_arguments(node, key)
    for name in map(str, node):
        # Another group's node is checked under its own name, and parts of a mixture are above.
        if not (OmegaConf.is_interpolation(node, name) or _is_parts(node, name)):
            check_component(node, name, f"{key}.{name}")
            check_node(node[name], f"{key}.{name}")


def _is_parts(node: DictConfig, name: str) -> bool:
    """Whether an argument of a target is the parts of a mixture."""
    found = signature(str(node._target_)).parameters.get(name) if "_target_" in node else None
    return found is not None and found.annotation == PARTS


def check_component(node: DictConfig, name: str, key: str) -> None:
    """Refuse model.norm=layernorm where norm=layernorm is meant."""
    group = OmegaConf.select(node._get_root(), name)
    is_component = isinstance(group, DictConfig) and "_target_" in group
    if is_component and not isinstance(node[name], DictConfig | ListConfig):
        raise ConfigError(f"{key}={node[name]} names no component: write {name}={node[name]}")


def check_arguments(node: DictConfig, key: str) -> None:
    """Hold the keys and the types of the values against the target's signature."""
    try:
        takes = signature(str(node._target_))
    except UnknownTarget as error:
        raise ConfigError(f"{key}._target_={node._target_}: {error}") from None
    for package in missing_packages(str(node._target_)):
        raise ConfigError(f"{key} needs the package {package}: pip install {package}")
    options = [name for name in map(str, node) if not name.startswith("_")]
    for name in options:
        if name not in takes.parameters:
            if takes.open_ended:
                continue
            raise ConfigError(
                f"unknown key {key}.{name}{nearest(name, takes.parameters)} "
                f"({takes.name} takes {', '.join(takes.parameters)})"
            )
        check_type(node, name, f"{key}.{name}", takes.parameters[name].annotation)
        if _is_parts(node, name):
            check_parts(node[name], f"{key}.{name}")


def check_parts(parts: Any, key: str) -> None:
    """Check the sources of a mixture as if each were the source of the run."""
    # Not at the top: it imports this module.
    from lightning_transformer.config.mixture_parts import part_nodes

    for name, node, annotations in part_nodes(parts, key):
        for option, annotation in annotations.items():
            check_type(node, option, f"{name}.{option}", annotation)


def check_type(node: DictConfig, name: str, key: str, annotation: str) -> None:
    """Refuse a scalar of another type than annotated; what else there is, the target checks."""
    kinds = [kind.strip().strip("\"'") for kind in annotation.split("|")]
    if not annotation or any(kind not in SCALARS for kind in kinds):
        return
    try:
        value = node[name]
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}: {str(error).splitlines()[0]}") from None
    allowed = tuple(cls for kind in kinds for cls in SCALARS[kind])
    # Python's bool is an int.
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        shown = "null" if value is None else value
        wanted = " or ".join(KIND_NAMES[kind] for kind in kinds)
        raise ConfigError(f"{key}={shown} must be {wanted}")
    if isinstance(value, int) and abs(value) >= 2**63:  # torch takes 64 bits
        is_float = float in allowed and abs(value) < 10**300
        advice = f"write {float(value):g}" if is_float else "for example 1"
        raise ConfigError(f"{key}={value} must be below 2**63; {advice}")


def check_used(cfg: DictConfig, chosen: Mapping[str, str]) -> None:
    """Refuse a chosen group that nothing refers to: it would be ignored silently."""
    used = used_groups(cfg)
    for group, option in chosen.items():
        if group in cfg and group not in used:
            raise ConfigError(
                f"{group}={option} has no effect here: neither the model nor the data of this run "
                f"uses {group}; leave it out"
            )


def used_groups(cfg: DictConfig) -> set[str]:
    """Names of the groups that a run of this configuration is built from."""
    return set(_reachable(cfg))


ROOTS = (
    "model", "freeze", "adapter", "rates", "data", "trainer", "guard", "callbacks", "logger",
    "match", "launcher",
)  # fmt: skip
REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)[.}]")


def _reachable(cfg: DictConfig) -> Iterator[str]:
    """Names of the groups that the run is built from: the roots and what they refer to."""
    raw = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(raw, dict)
    todo, seen = list(ROOTS), set()
    while todo:
        group = todo.pop()
        if group in seen:
            continue
        seen.add(group)
        yield group
        todo += REFERENCE.findall(str(raw.get(group, "")))
