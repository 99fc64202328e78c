"""The floors of the package: who may import whom, read from the source with ast."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib  # type: ignore[no-redef, import-not-found, unused-ignore]

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "lightning_transformer"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / PACKAGE).rglob("*.py"))
}

# One number per folder; imports go to a lower one, or along one floor where that makes no circle.
FLOORS = {
    "": 0,
    "errors": 0,
    "paths": 0,
    "runs": 0,
    "config": 1,
    "nn": 1,
    "decoding": 1,
    "distributed": 1,
    "hardware": 1,
    "optim": 1,
    "data": 1,
    "compare.report": 1,
    "compare.across": 2,
    "tasks": 2,
    "models": 3,
    "checkpoint": 3,
    "convert": 3,
    "testing": 3,
    "build": 4,
    "training": 5,
    "look": 5,
    "__main__": 6,
    "data.__main__": 6,
    "cli": 6,
    "evaluate": 6,
    "export": 6,
    "generate": 6,
    "cards": 6,
    "cluster": 6,
    "api": 7,
    "new": 6,
    "compare": 8,
    "compare.run": 7,
    "compare.several": 8,
}

# Third-party packages that a folder must not import, in any function.
HEAVY = {"torch", "torchmetrics", "lightning", "pytorch_lightning"}
FORBIDDEN = {
    "": HEAVY,
    "errors": HEAVY,
    "paths": HEAVY,
    "runs": HEAVY | {"hydra", "numpy", "rich"},
    "config": HEAVY,
    "nn": {"lightning", "pytorch_lightning", "hydra", "omegaconf"},
    "compare": HEAVY,
    "compare.report": HEAVY | {"hydra"},
    "compare.across": HEAVY | {"hydra"},
}
MAX_PARAMETERS = 16
# Their parameters are options of a file in conf/, each with a default, or groups.
WIDE = {"models.base": 19}

# Imported only where a user asks for it, with an error of one line where it is missing.
OPTIONAL = {"pandas"}
# The extras that hold what options and methods need.
EXTRAS = ("pandas", "wandb", "mlflow", "parquet", "zstd", "hub", "eval")
# What a distribution is called, where that is not the name one imports.
DISTRIBUTIONS = {
    "hydra": "hydra-core",
    "yaml": "pyyaml",
    "vl_convert": "vl-convert-python",
    "mlflow": "mlflow-skinny",
    "lightning_utilities": "lightning-utilities",
    "lm_eval": "lm-eval",
}


class Import(NamedTuple):
    """One imported module and the line that imports it."""

    module: str
    line: int


def short(module: str) -> str:
    """The name below the package: `lightning_transformer.nn.stack` gives `nn.stack`."""
    return module.removeprefix(PACKAGE).removeprefix(".")


def holder(name: str, names: set[str]) -> str | None:
    """The longest of `names` that is `name` or one of its parents."""
    parts = name.split(".")
    parents = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((p for p in parents if p in names), None)


def folder(name: str) -> str:
    """The entry of FLOORS that a module, given by its name below the package, belongs to."""
    found = holder(name, set(FLOORS) - {""}) if name else ""
    if found is None:
        raise LookupError(f"{name} stands on no floor: add it to FLOORS in {Path(__file__).name}")
    return found


def imports(tree: ast.AST, known: set[str]) -> Iterator[Import]:
    """All imports of a module, at its top and inside functions, but not those for types alone."""
    types = {
        below
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for below in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in types:
            continue
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            for alias in node.names:  # `from package import module` imports the module
                full = f"{base}.{alias.name}"
                yield Import(full if full in known else base, node.lineno)


def floor_faults(name: str, tree: ast.AST, known: set[str]) -> list[str]:
    """What a module, given by its name below the package, imports although its place forbids it."""
    faults = []
    own = folder(name)
    banned = FORBIDDEN.get(own, set())
    for module, line in imports(tree, known):
        top = module.split(".")[0]
        if module.startswith("."):
            faults.append(f"{name}:{line} has a relative import of {module}")
        elif top == PACKAGE and FLOORS[folder(short(module))] > FLOORS[own]:
            faults.append(f"{name}:{line} imports {short(module)} of a higher floor")
        elif top in banned:
            faults.append(f"{name}:{line} imports {module}, forbidden in {own}")
    return faults


def sideways(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Which folders each folder imports."""
    found: dict[str, set[str]] = {}
    for module, tree in trees.items():
        own = folder(short(module))
        for target, _ in imports(tree, set(trees)):
            if target.split(".")[0] == PACKAGE and folder(short(target)) != own:
                found.setdefault(own, set()).add(folder(short(target)))
    return found


def instantiate_faults(name: str, tree: ast.AST) -> list[str]:
    """Uses of hydra's instantiate outside build."""
    used = [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr == "instantiate")
        or (isinstance(node, ast.Name) and node.id == "instantiate")
        or (isinstance(node, ast.ImportFrom) and any(a.name == "instantiate" for a in node.names))
    ]
    return [] if name == "build" else [f"{name}:{line} uses instantiate" for line in used]


def parameter_faults(name: str, tree: ast.AST) -> list[str]:
    """Functions with more parameters than one can keep in mind."""
    faults = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            count = len([a for a in given if a.arg not in {"self", "cls"}])
            if count > WIDE.get(name, MAX_PARAMETERS):
                faults.append(f"{name}:{node.lineno} {node.name} takes {count} parameters")
    return faults


@cache
def package_trees() -> dict[str, ast.Module]:
    """All modules; parsed by the one process that tests them, not by each that collects."""
    found = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
    # The package itself names what it loads lazily for type checkers and editors; none of it runs.
    found[PACKAGE].body = [
        node
        for node in found[PACKAGE].body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    return found


def test_package_is_found() -> None:
    assert PACKAGE in MODULES
    assert f"{PACKAGE}.runs.result" in MODULES


def faults_in(modules: Iterable[str], check: Callable[[str, ast.Module], list[str]]) -> list[str]:
    """What a check finds in these modules; one test for all is a minute less than one for each."""
    trees = package_trees()
    return [f"{name}: {fault}" for name in modules for fault in check(short(name), trees[name])]


def test_imports_go_down() -> None:
    known = set(MODULES)
    assert faults_in(MODULES, lambda name, tree: floor_faults(name, tree, known)) == []


def test_folders_import_each_other_in_no_circle() -> None:
    list(TopologicalSorter(sideways(package_trees())).static_order())


def test_the_floors_are_those_of_the_folders_that_there_are() -> None:
    assert {folder(short(module)) for module in MODULES} == set(FLOORS)


def test_instantiate_is_called_by_build_only() -> None:
    assert faults_in(MODULES, instantiate_faults) == []


def test_signatures_are_short() -> None:
    assert faults_in(MODULES, parameter_faults) == []


# The package itself and `compare` are used as `lt.train(..)` and `lt.compare(..)`.
FRONT_DOORS = {PACKAGE, f"{PACKAGE}.compare", f"{PACKAGE}.evaluate"}
INITS = {name for name, path in MODULES.items() if path.name == "__init__.py"}


def init_faults(name: str, tree: ast.Module) -> list[str]:
    """What an __init__.py holds beside a docstring."""
    return [ast.unparse(node) for node in tree.body[1 if ast.get_docstring(tree) else 0 :]]


def test_init_files_hold_a_docstring_at_most() -> None:
    assert faults_in(sorted(INITS - FRONT_DOORS), init_faults) == []


def test_no_module_is_called_utils() -> None:
    assert [m for m in MODULES if m.split(".")[-1] in {"utils", "util", "helpers", "misc"}] == []


def test_every_third_party_import_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = project["dependencies"] + [
        text for extra in EXTRAS for text in project["optional-dependencies"][extra]
    ]
    declared = {re.match(r"[\w-]+", d)[0].lower() for d in needed}  # type: ignore[index]
    imported = {
        i.module.split(".")[0] for tree in package_trees().values() for i in imports(tree, set())
    }
    imported -= {*sys.stdlib_module_names, PACKAGE, *OPTIONAL}
    assert {DISTRIBUTIONS.get(name, name) for name in imported} - declared == set()


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("cli.main", ["torch", "lightning"]),
        ("compare.__main__", ["torch"]),
        ("compare.run.command", ["torch"]),
        ("runs.result", ["torch", "numpy"]),
        ("errors", ["torch"]),
    ],
)
def test_importing_leaves_out(module: str, absent: list[str]) -> None:
    code = f"import sys, {PACKAGE}.{module}; print([m for m in {absent} if m in sys.modules])"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.parametrize(
    "way",
    [
        "import lightning_transformer.api.train",
        "import importlib, lightning_transformer.compare.run.process as p;"
        "list(map(importlib.import_module, p.PRELOAD))",
        "import contextlib, lightning_transformer.cli.job as job\n"
        "with contextlib.suppress(AttributeError): job._train(None, None, resume=False)",
    ],
    ids=["Python", "comparison", "command line"],
)
def test_training_loads_nothing_for_metrics_that_no_run_has(way: str) -> None:
    absent = ["transformers", "matplotlib", "scipy"]
    code = f"""
{way}
import sys
print("torchmetrics" in sys.modules, [m for m in {absent} if m in sys.modules])
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "True []"), done.stderr


# The checker itself: each line is a fault that it must see.
@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("tasks.base", "from lightning_transformer.models.base import Transformer"),
        ("tasks.base", "def f():\n    import lightning_transformer.training.run"),
        ("nn.stack", "import lightning as L"),
        ("nn.norm.rmsnorm", "from omegaconf import DictConfig"),
        ("compare.report.load", "from lightning_transformer.compare.run.plan import Job"),
        ("compare.__main__", "import torch"),
        ("runs.result", "import numpy as np"),
        ("training.run", "from lightning_transformer.cli.main import main"),
        ("models.base", "from ..nn import stack"),
    ],
)
def test_checker_sees(name: str, source: str) -> None:
    known = {f"{PACKAGE}.nn.stack"}
    assert len(floor_faults(name, ast.parse(source), known)) >= 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("models.base", "import lightning as L\nfrom lightning_transformer.tasks.base import Task"),
        ("nn.stack", "from lightning_transformer.nn.types import Norm\nimport torch"),
        ("optim.param_groups", "from lightning_transformer.nn.linear import Head"),
        ("data.base", "import lightning\nfrom lightning_transformer.data.examples import Tokens"),
        ("compare.__main__", "from lightning_transformer.runs.result import RunResult"),
        ("cli.main", "def main():\n    from lightning_transformer.training.run import run"),
    ],
)
def test_checker_allows(name: str, source: str) -> None:
    assert floor_faults(name, ast.parse(source), set()) == []


def test_checker_sees_a_circle() -> None:
    one = ast.parse("from lightning_transformer.optim.clip import clip")
    two = ast.parse("import lightning_transformer.nn.linear")
    trees = {f"{PACKAGE}.nn.linear": one, f"{PACKAGE}.optim.clip": two}
    with pytest.raises(CycleError):
        list(TopologicalSorter(sideways(trees)).static_order())


def test_checker_names_a_module_without_a_floor() -> None:
    with pytest.raises(LookupError, match="attic stands on no floor"):
        floor_faults("attic", ast.parse(""), set())


def test_checker_sees_instantiate_and_long_signatures() -> None:
    tree = ast.parse("import hydra\nhydra.utils.instantiate({})")
    assert len(instantiate_faults("train", tree)) == 1
    assert instantiate_faults("build", tree) == []
    names = ", ".join(f"a{i}" for i in range(MAX_PARAMETERS))
    assert parameter_faults("x", ast.parse(f"def f(self, {names}): ...")) == []
    assert len(parameter_faults("x", ast.parse(f"def f(self, *, {names}, b): ..."))) == 1
