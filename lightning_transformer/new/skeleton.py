"""The files of a new option: those of a short option of its group, under the new name.

A copy of what is tested composes, keeps the contract of its group and passes its own test from the
first minute, and it cannot go out of date as a separate template would.
"""

import ast
import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lightning_transformer.cards.files import read_option
from lightning_transformer.config.validate import nearest
from lightning_transformer.paths import CONF, PACKAGE

# The option that a new one of the group starts from: short, and typical of the group's calls.
START = {
    "activation": "gelu",
    "attention": "gated",
    "block": "parallel",
    "callbacks": "default",
    "data": "order",
    "debug": "limit",
    "embedding": "scaled",
    "experiment": "order",
    "ffn": "dense",
    "guard": "stop",
    "init": "normal",
    "kernel": "eager",
    "layer_sharing": "cycle",
    "logger": "tensorboard",
    "loss": "cross_entropy",
    "match": "flops",
    "model": "encoder_only",
    "norm": "scalenorm",
    "optimizer": "adagrad",
    "packing": "stream",
    "pattern": "sliding_window",
    "pooling": "mean",
    "position": "learned",
    "preset": "gpt2",
    "qk_norm": "l2norm",
    "residual": "pre_norm",
    "schedule": "linear",
    "task": "classification",
    "tokenizer": "characters",
    "trainer": "ddp",
}
NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class NewFile:
    """A file that a new option needs, and what to begin it with."""

    path: Path
    text: str


@dataclass(frozen=True)
class Start:
    """The option that is copied, and the names that its copy must not keep."""

    group: str
    name: str
    target: str  # dotted path of what it builds, "" for a set of overrides

    @property
    def module(self) -> Path:
        return PACKAGE.joinpath(*self.target.split(".")[1:-1]).with_suffix(".py")

    @property
    def built(self) -> str:
        return self.target.rpartition(".")[2]


def skeleton(group: str, name: str) -> list[NewFile]:
    """The YAML file of a new option and, where its group has classes, its module and its test.

    Raises ValueError in one line for an unknown group, a name that is no identifier, and an option,
    a file or a class that exists already.
    """
    start = _start(group)
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ValueError(
            f"name={name} must be a Python identifier of lower-case letters, digits and _, "
            "such as my_norm"
        )
    yaml = CONF / group / f"{name}.yaml"
    paths = [yaml]
    if start.target:
        module = start.module.with_name(f"{name}.py")
        paths = [module, yaml, _test_of(module)]
    for path in paths:
        if path.exists():
            raise ValueError(f"{group}={name}: {_shown(path)} exists already; choose another name")
    return [NewFile(path, _renamed(_source(path, start), start, name)) for path in paths]


def _start(group: str) -> Start:
    found = sorted(path.name for path in CONF.iterdir() if path.is_dir())
    if group not in found or group not in START:
        raise ValueError(
            f"unknown group {group}{nearest(group, found)} (groups: {', '.join(found)})"
        )
    return Start(group, START[group], read_option(group, START[group]).target)


def _source(path: Path, start: Start) -> str:
    """The file of the copied option that stands where the new path is."""
    if path.suffix == ".yaml":
        copied = path.with_name(f"{start.name}.yaml")
    elif path.name.startswith("test_"):
        copied = _test_of(start.module)
    else:
        copied = start.module
    if not copied.is_file():
        raise ValueError(
            f"{_shown(copied)} is missing: new options are written in a checkout of the "
            "repository; for a package of your own see docs/guides/plug_in.md"
        )
    return copied.read_text(encoding="utf-8")


def _test_of(module: Path) -> Path:
    folder = module.relative_to(PACKAGE).parent
    return PACKAGE.parent / "tests" / "unit" / folder / f"test_{module.name}"


def _shown(path: Path) -> str:
    return str(path.relative_to(PACKAGE.parent))


def _renamed(text: str, start: Start, name: str) -> str:
    """The text with the new option's name, module and classes."""
    title = f"# {name}: a copy of {start.group}={start.name}; say here what it computes.\n"
    text = re.sub(r"\A(?P<package># @package .*\n)?(?:#.*\n)+", rf"\g<package>{title}", text)
    if not start.target:
        return text
    new = name if start.built.islower() else _camel(name)
    public = _public(start.module.read_text(encoding="utf-8"))
    renames = {other: _joined(new, other) for other in public} | {start.built: new}
    taken = sorted(set(renames.values()) & set(_classes()))
    if taken:
        raise ValueError(f"{start.group}={name}: the class {taken[0]} exists already")
    module = f"{start.target.rpartition('.')[0].rpartition('.')[0]}."
    text = re.sub(rf"{re.escape(module)}{start.name}\b", f"{module}{name}", text)
    for old, replacement in renames.items():
        # Bare, or behind its own module in a dotted path; not an attribute of something else.
        text = re.sub(rf"(?<![\w.]){old}\b(?!=)", replacement, text)
        text = re.sub(rf"(?<=\.{name}\.){old}\b", replacement, text)
    text = text.replace(f"{start.group}={start.name}", f"{start.group}={name}")
    return re.sub(rf'(?<=name = "){start.name}(?=")', name, text)


def _joined(new: str, other: str) -> str:
    return f"{new}_{other}" if other.islower() else f"{new}{other}"


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_") if part)


def _public(source: str) -> list[str]:
    """Names of the public classes and functions that a module defines."""
    kinds = (ast.ClassDef, ast.FunctionDef)
    names = [node.name for node in ast.parse(source).body if isinstance(node, kinds)]
    return [name for name in names if not name.startswith("_")]


def _classes() -> Iterable[str]:
    """Names of all public classes of the package, of which no two may be the same."""
    for path in PACKAGE.rglob("*.py"):
        yield from re.findall(r"^class ([A-Z]\w*)", path.read_text(encoding="utf-8"), re.MULTILINE)
