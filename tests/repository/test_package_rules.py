"""The rules that keep the package readable: small files, small folders, one name for one thing."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from lightning_transformer.paths import CONF, PACKAGE

MAX_LINES = 300
MAX_FUNCTION_LINES = 60
MAX_MODULES = 12
MAX_TOP_MODULES = 5
TARGET = re.compile(r"^ *_target_: *lightning_transformer\.([\w.]+)\.\w+", re.MULTILINE)

FILES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = sorted({path.parent for path in FILES})


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    """A path relative to the package."""
    return path.relative_to(PACKAGE.parent).as_posix()


def option_modules() -> set[Path]:
    """The modules that options in conf/ name."""
    texts = [path.read_text(encoding="utf-8") for path in CONF.rglob("*.yaml")]
    found = {target for text in texts for target in TARGET.findall(text)}
    return {PACKAGE / f"{target.replace('.', '/')}.py" for target in found}


OPTIONS = option_modules()


def is_variant_folder(modules: list[Path]) -> bool:
    """Whether most modules of a folder are options of the configuration."""
    return 2 * len(OPTIONS.intersection(modules)) > len(modules)


def faults_of_a_file(path: Path) -> list[str]:
    """A file is short and begins with its docstring; each of its functions does one thing."""
    found, tree = [], parsed(path)
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    if n_lines > MAX_LINES:
        found.append(f"{n_lines} lines: is it two files?")
    if not ast.get_docstring(tree) or tree.body[0].lineno != 1:
        found.append("a module says in its first line what it is for")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            n_lines = node.end_lineno - node.lineno + 1
            if n_lines > MAX_FUNCTION_LINES:
                found.append(f"{node.name}: {n_lines} lines")
    return found


def test_files_and_functions_are_short() -> None:
    assert {name(path): found for path in FILES if (found := faults_of_a_file(path))} == {}


def test_what_is_long_is_seen(tmp_path: Path) -> None:
    lines = ["def f():", *["    pass"] * MAX_FUNCTION_LINES, *["x = 1"] * MAX_LINES]
    file = tmp_path / "module.py"
    file.write_text("\n".join(lines))
    assert faults_of_a_file(file) == [
        f"{len(lines)} lines: is it two files?",
        "a module says in its first line what it is for",
        f"f: {MAX_FUNCTION_LINES + 1} lines",
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_a_folder_holds_one_idea(folder: Path) -> None:
    modules = [path for path in FILES if path.parent == folder and path.name != "__init__.py"]
    assert (folder / "__init__.py").is_file()
    if folder == PACKAGE:
        assert len(modules) + 1 <= MAX_TOP_MODULES
    elif not is_variant_folder(modules):
        assert len(modules) <= MAX_MODULES, f"{len(modules)} modules: is it two folders?"


def test_no_public_class_name_stands_for_two_things() -> None:
    found = defaultdict(list)
    for path in FILES:
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(name(path))
    assert {key: places for key, places in found.items() if len(places) > 1} == {}


def test_the_rules_see_their_faults() -> None:
    """Variant folders are told from others by conf/."""
    assert is_variant_folder([p for p in FILES if p.parent == PACKAGE / "nn" / "norm"])
    assert not is_variant_folder([p for p in FILES if p.parent == PACKAGE / "training"])
