"""Which objects a file may name: a run folder is data, and data must not choose what code runs.

The command line and configuration files are the user's own and trusted; what a run folder holds is
not, for it may come from anywhere. Imports nothing but the standard library and yaml.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Any

import yaml

from lightning_transformer.paths import CONF
from lightning_transformer.runs.secrets import HIDDEN

PACKAGE = "lightning_transformer"
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # the C one is ten times as fast
PLUGINS = "lightning_transformer.conf"  # the entry point by which a package names itself
# No part starts with an underscore: importing a __main__ runs it.
DOTTED = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+")
PLACED = re.compile(r"/(?P<group>\w+)@(?P<key>\w+)")  # in the defaults of an option file


@cache
def plugins() -> tuple[EntryPoint, ...]:
    """Entry points `lightning_transformer.conf`, by which plug-ins name their options' folders.

    Looked for once in a process: it reads a file of every package that is installed.
    """
    return tuple(entry_points(group=PLUGINS))


def plugin_packages() -> set[str]:
    """Top-level packages that named themselves by the entry point."""
    return {entry.value.split(".")[0] for entry in plugins()}


def named_object(target: str, packages: set[str]) -> Any:
    """The class or function at a dotted path that one of these packages defines.

    Nothing is imported unless the path begins with one of the packages, and an object that was only
    imported there (an alias, such as `lightning_transformer.cli.main.os`) is refused.
    Raises ValueError with what is wrong, to follow the name of the setting.
    """
    if not DOTTED.fullmatch(target) or target.split(".")[0] not in packages:
        raise ValueError(f"is not part of {' or '.join(sorted(packages))}")
    module, _, name = target.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError):
        raise ValueError("does not exist in what is installed here") from None
    if not isinstance(found, type | FunctionType):
        raise ValueError("is neither a class nor a function")
    if (found.__module__, found.__qualname__) != (module, name):
        raise ValueError(f"is another name of {found.__module__}.{found.__qualname__}")
    return found


def offered(key: str) -> set[str]:
    """Every `_target_` that an option file of this package or of a plug-in gives to a key.

    The key of an option file's own target is its group; a file may have other groups' options
    under keys of its own, as pattern=both has two patterns.
    Raises ValueError for an option file that is no YAML.
    """
    return _all_offered().get(key, set())


@cache
def _all_offered() -> dict[str, set[str]]:
    """key -> targets of all option files."""
    targets: dict[str, set[str]] = {}
    placed = set()
    for file in (file for folder in option_folders() for file in sorted(folder.glob("*/*.yaml"))):
        content = _read_option(file)
        for key, target in _targets(content, file.parent.name):
            targets.setdefault(key, set()).add(target)
        placed |= set(_placed(content))
    for key, group in placed:
        targets[key] = targets.get(key, set()) | targets.get(group, set())
    return targets


def option_folders() -> list[Path]:
    """The folders of option files: ours, and those of installed plug-ins."""
    found = [CONF]
    for entry in entry_points(group=PLUGINS):
        spec = find_spec(entry.value)
        found += [Path(place) for place in (spec and spec.submodule_search_locations) or []]
    return found


def _read_option(file: Path) -> Any:
    """The content of an option file: texts, lists and dicts, whatever tags it has."""
    try:
        with file.open(encoding="utf-8") as stream:
            return yaml.load(stream, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{file} is not valid YAML ({reason})") from None


def _placed(content: Any) -> Iterator[tuple[str, str]]:
    """Keys of an option file, and the groups whose options its defaults put there."""
    for entry in (isinstance(content, dict) and content.get("defaults")) or []:
        for choice in entry if isinstance(entry, dict) else []:
            if found := PLACED.fullmatch(choice):
                yield found["key"], found["group"]


def _targets(node: Any, key: str) -> Iterator[tuple[str, str]]:
    """(key, target) of a node, which is found under this key, and of all nodes below it."""
    if not isinstance(node, dict):
        return
    if isinstance(node.get("_target_"), str):
        yield key, node["_target_"]
    for name, item in node.items():
        yield from _targets(item, name)


def check_targets(node: Any, key: str, trusted: Sequence[str] = ()) -> None:
    """Refuse a configuration from a run folder that names anything but components.

    Each `_target_` must be one that an option file offers for its key, or an object of a package
    that the user trusts by name; nothing is imported that is neither. Interpolations are refused:
    a run folder holds values, and a resolver could read the environment.
    Raises ValueError in one line that names the key and its value.
    """
    if isinstance(node, str) and "${" in node:
        raise ValueError(f"{key}={node} is an interpolation; a run folder must hold plain values")
    if isinstance(node, list):
        for i, item in enumerate(node):
            check_targets(item, f"{key}.{i}", trusted)
    if not isinstance(node, dict):
        return
    if "_target_" in node:
        _check_target(node["_target_"], key, trusted)
    for name, item in node.items():
        if not isinstance(name, str):
            raise ValueError(f"{key} has the key {name!r}, which is no name")
        if name.startswith("_") and name not in ("_target_", "_partial_"):
            raise ValueError(f"{key}.{name}={item} is not written by a run")
        check_targets(item, f"{key}.{name}", trusted)


def _check_target(target: object, key: str, trusted: Sequence[str]) -> None:
    name, path = key.rpartition(".")[2], str(target)
    packages = set(trusted)
    if path in offered(name):
        packages |= {PACKAGE, *plugin_packages()}
    elif path.split(".")[0] not in packages:
        options = sorted(t for t in offered(name) if t.startswith(PACKAGE))
        such = f", such as {options[0]}" if options else ""
        raise ValueError(
            f"{key}._target_={path} is no option of {name}{such}; if you trust the package, say so "
            "with --trust PACKAGE (trust=[...] in Python)"
        )
    try:
        named_object(path, packages)
    except ValueError as error:
        raise ValueError(f"{key}._target_={path} {error}") from None


OVERRIDE = re.compile(r"(?P<key>[+~]{0,2}[A-Za-z_][\w./@-]*)(?:=(?P<value>.*))?", re.DOTALL)
HYDRA = re.compile(r"(^|[@./])hydra([@./]|$)")


def check_overrides(overrides: Sequence[str], folder: Path) -> None:
    """Refuse overrides in a run folder's result.json that do more than set values.

    Resuming composes them again, so they must not name code of others, read the environment, or
    change how Hydra itself works. What is typed again on the command line is trusted, so the way
    out is always to type that key again.
    Raises ValueError in one line.
    """
    for override in overrides:
        found = OVERRIDE.fullmatch(override) if isinstance(override, str) else None
        if found is None:
            raise ValueError(f"{folder}: {override!r} in result.json is not an override")
        key, value = found["key"].lstrip("+~"), found["value"] or ""
        reason = _fault(key, value)
        if reason:
            again = f"{found['key']}=..." if HIDDEN in value else override
            raise ValueError(
                f"{folder}: {override} in result.json {reason}; if that is what you want, type "
                f"{shlex.quote(again)} again beside resume="
            )


def must_be_typed_again(overrides: Sequence[str]) -> list[str]:
    """Those of a run's own overrides that `check_overrides` refuses, but for hidden secrets."""
    found = [OVERRIDE.fullmatch(override) for override in overrides]
    return [
        match[0]
        for match in found
        if match
        and HIDDEN not in match[0]
        and _fault(match["key"].lstrip("+~"), match["value"] or "")
    ]


def foreign_packages(config: Any) -> list[str]:
    """Packages that a configuration names code of, other than as an option that is installed."""
    return sorted(set(_foreign(config, "")))


def _foreign(node: Any, name: str) -> Iterator[str]:
    if isinstance(node, list):
        for i, item in enumerate(node):
            yield from _foreign(item, str(i))
    if isinstance(node, dict):
        target = node.get("_target_")
        if isinstance(target, str) and target not in offered(name):
            yield target.split(".")[0]
        for key, item in node.items():
            yield from _foreign(item, str(key))


def _fault(key: str, value: str) -> str:
    if HIDDEN in value:
        return "hides a secret"
    if HYDRA.search(key):
        return "changes Hydra itself, which no run writes there"
    if "${" in value and ":" in value:
        return "may read more than configuration values"
    name, _, last = key.rpartition(".")
    own = last == "_target_" and value in offered(name.rpartition(".")[2])
    if ("_target_" in value or last == "_target_") and not own:
        return "names code that is no option of this package or a plug-in"
    return ""


def check_links(folder: Path) -> None:
    """Refuse to write into a run folder in which a link leads outside; ValueError in one line.

    Not for what W&B keeps in `wandb`: its links lead to its log files elsewhere, it replaces them
    and writes through none, and neither does a run. That folder itself must be no link.
    """
    inside, tracker = folder.resolve(), folder / "wandb"
    for path in folder.rglob("*"):
        if tracker in path.parents:
            continue
        if path.is_symlink() and inside not in path.resolve().parents:
            raise ValueError(
                f"{folder}: {path.relative_to(folder)} is a link to {path.resolve()}, outside the "
                "run folder; put a copy in its place"
            )
