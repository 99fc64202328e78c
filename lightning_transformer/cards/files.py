"""What an option's file and its component's docstring say; imports no torch."""

import inspect
import re
from dataclasses import dataclass
from pathlib import Path

from lightning_transformer.config.compose import composer, groups, register
from lightning_transformer.config.signatures import UnknownTarget, docstring
from lightning_transformer.paths import CONF

GROUP = re.compile(r"\$\{\w+\}")  # a value that is another group's option
KEY = re.compile(r"^(?P<key>[a-z]\w*): *(?P<value>[^#]*?) *(?:# *(?P<text>.+))?$")


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
    for file in ("config.yaml", "model/decoder_only.yaml"):
        text = (CONF / file).read_text(encoding="utf-8")
        found = re.search(rf"^  - (?:/{group}@_global_.)?{group}: (\w+)", text, re.MULTILINE)
        if found and found[1] != "null":
            return found[1]
    return None


def read_option(group: str, name: str) -> Option:
    """Read the file of an option. Raises FileNotFoundError for those of plug-ins."""
    lines = Path(CONF / group / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    title = next((x[1:].strip() for x in lines if x.startswith("# ") and "@package" not in x), "")
    target = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("_target_:")), "")
    keys = []
    for line in lines:
        found = KEY.match(line)
        if found and found["key"] != "defaults" and not GROUP.match(found["value"]):
            keys.append(Key(found["key"], found["value"], found["text"] or ""))
    return Option(group, name, title, target, tuple(keys), _doc(target))


def _doc(target: str) -> str:
    try:
        return inspect.cleandoc(docstring(target)) if target else ""
    except UnknownTarget:
        return ""
