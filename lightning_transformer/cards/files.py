"""What an option's file and its component's docstring say; imports no torch."""

import inspect
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from lightning_transformer.config.compose import chosen_options, composer, groups, register
from lightning_transformer.config.signatures import UnknownTarget, docstring
from lightning_transformer.paths import CONF

GROUP = re.compile(r"\$\{\w+\}")  # a value that is another group's option


@dataclass(frozen=True)
class Key:
    """A key of an option with its default and what the file says of it."""

    name: str
    default: str
    text: str


@dataclass(frozen=True)
class Option:
    """group=name: its title (first line of the file), target, keys, and the target's docstring."""

    group: str
    name: str
    title: str
    target: str
    keys: tuple[Key, ...]
    doc: str


def all_groups() -> dict[str, list[str]]:
    """Every group with its options, those of plug-ins included."""
    register()
    with composer() as loader:
        return groups(loader)


def default_option(group: str) -> str | None:
    """What the default run has of a group."""
    return _default_options().get(group)


@cache
def _default_options() -> dict[str, str]:
    register()
    with composer():
        return chosen_options([])


def read_option(group: str, name: str) -> Option:
    """Read the file of an option. Raises FileNotFoundError for those of plug-ins."""
    text = Path(CONF / group / f"{name}.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    title = next((x[1:].strip() for x in lines if x.startswith("# ") and "@package" not in x), "")
    root = yaml.compose(text, yaml.SafeLoader)
    target, keys = "", []
    for key, value in root.value if isinstance(root, yaml.MappingNode) else []:
        if key.value == "_target_":
            target = value.value
        elif key.value != "defaults" and not key.value.startswith("_"):
            found = _key(lines[key.end_mark.line], key, value)
            if not GROUP.match(found.default):
                keys.append(found)
    return Option(group, name, title, target, tuple(keys), _doc(target))


def _key(line: str, key: yaml.Node, value: yaml.Node) -> Key:
    """A key with its default as written, "" for a node of several lines, and the line's comment."""
    end, default = key.end_mark.column, ""
    if value.end_mark.line == key.end_mark.line:
        end = value.end_mark.column
        default = line[value.start_mark.column : end]
    return Key(key.value, default, line[end:].partition("#")[2].strip())


def _doc(target: str) -> str:
    try:
        return inspect.cleandoc(docstring(target)) if target else ""
    except UnknownTarget:
        return ""
