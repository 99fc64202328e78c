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
    "adapter": "bottleneck",
    "attention": "gated",
    "block": "parallel",
    "callbacks": "default",
    "cleaning": "length",
    "data": "order",
    "debug": "limit",
    "embedding": "scaled",
    "experiment": "order",
    "ffn": "dense",
    "freeze": "by_name",
    "guard": "stop",
    "init": "normal",
    "kernel": "eager",
    "launcher": "local",
    "layer_sharing": "cycle",
    "logger": "tensorboard",
    "loss": "cross_entropy",
    "masking": "whole_word",
    "match": "flops",
    "memory_tokens": "learned",
    "model": "encoder_only",
    "norm": "scalenorm",
    "optimizer": "adagrad",
    "packing": "stream",
    "pattern": "sliding_window",
    "policy": "reinforce",
    "pooling": "mean",
    "position": "learned",
    "preference": "simpo",
    "preset": "gpt2",
    "qk_norm": "l2norm",
    "rates": "lora_plus",
    "residual": "pre_norm",
    "reward": "length",
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


def skeleton(group: str, name: str) -> list[NewFile]:
    """The YAML file of a new option and, where its group has classes, its module and its test.

    Raises ValueError in one line for an unknown group, a name that is no identifier, and an option,
    a file or a class that exists already.
    """
    if group not in START:
        raise ValueError(
            f"unknown group {group}{nearest(group, START)} (groups: {', '.join(START)})"
        )
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ValueError(
            f"name={name} must be a Python identifier of lower-case letters, digits and _, "
            "such as my_norm"
        )
    start = START[group]
    target = read_option(group, start).target
    copies = {
        source: source.with_name(source.name.replace(start, name))
        for source in _files(group, start, target)
    }
    for path in copies.values():
        if path.exists():
            raise ValueError(f"{group}={name}: {_shown(path)} exists already; choose another name")
    for source in copies:
        if not source.is_file():
            raise ValueError(
                f"{_shown(source)} is missing: new options are written in a checkout of the "
                "repository; for a package of your own see docs/guides/plug_in.md"
            )
    rules = _rules(group, start, target, name)
    return [
        NewFile(path, _replaced(source.read_text(encoding="utf-8"), rules))
        for source, path in copies.items()
    ]


def _files(group: str, option: str, target: str) -> list[Path]:
    """Module, YAML file and test of an option; only YAML where it is a set of overrides."""
    config = CONF / group / f"{option}.yaml"
    if not target:
        return [config]
    module = PACKAGE.joinpath(*target.split(".")[1:-1]).with_suffix(".py")
    tests = PACKAGE.parent / "tests" / "unit" / module.relative_to(PACKAGE).parent
    return [module, config, tests / f"test_{module.name}"]


def _shown(path: Path) -> str:
    return str(path.relative_to(PACKAGE.parent))


def _rules(group: str, start: str, target: str, name: str) -> list[tuple[str, str]]:
    """What is replaced in the copies, in this order: regular expressions and their replacements."""
    title = f"# {name}: a copy of {group}={start}; say here what it computes.\n"
    rules = [(r"\A(# @package .*\n)?(?:#.*\n)+", rf"\g<1>{title}")]
    if not target:
        return rules
    module, _, built = target.rpartition(".")
    folder = re.escape(module.removesuffix(start))
    rules.append((rf"(?<={folder}){start}\b", name))
    for old, new in _new_names(module, built, name).items():
        if _is_class(new):
            raise ValueError(f"{group}={name}: the class {new} exists already")
        # Bare, or behind its own module in a dotted path; not an attribute of something else.
        rules += [(rf"(?<![\w.]){old}\b(?!=)", new), (rf"(?<=\.{name}\.){old}\b", new)]
    rules += [(f"{group}={start}", f"{group}={name}"), (rf'(?<=name = "){start}(?=")', name)]
    return rules


def _replaced(text: str, rules: Iterable[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text)
    return text


def _new_names(module: str, built: str, name: str) -> dict[str, str]:
    """Public class or function of the module -> its name in the copy; `built` is the component."""
    new = name if built.islower() else "".join(part.capitalize() for part in name.split("_"))
    file = PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    names = {built: new}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            joined = f"{new}_{node.name}" if node.name.islower() else f"{new}{node.name}"
            names.setdefault(node.name, joined)
    return names


def _is_class(name: str) -> bool:
    """Whether the package has a public class of this name; no two may have the same."""
    defined = re.compile(rf"^class {name}\b", re.MULTILINE)
    return any(defined.search(f.read_text(encoding="utf-8")) for f in PACKAGE.rglob("*.py"))
