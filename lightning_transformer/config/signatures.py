"""What a `_target_` takes, read from its source text: checking a configuration imports nothing."""

import ast
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Parameter:
    """One parameter: its annotation as written ("" without) and whether it must be given."""

    name: str
    annotation: str
    required: bool


@dataclass(frozen=True)
class Signature:
    """The named parameters of a class or function, and whether it takes any others besides."""

    name: str
    parameters: dict[str, Parameter]
    open_ended: bool


NO_OPTIONS = ("", "object", "ABC", "nn.Module", "torch.nn.Module")  # bases that take none


class UnknownTarget(Exception):
    """There is no such module, or nothing of that name in it."""


@cache
def signature(target: str) -> Signature:
    """Read the signature of a dotted path such as `package.module.Class`.

    Follows imported names and base classes; understands dataclasses. Raises UnknownTarget.
    """
    module, _, name = target.rpartition(".")
    found, home = _find(module, name)
    if isinstance(found, ast.ClassDef):
        return _class_signature(found, home)
    return _function_signature(name, found.args, skip_first=False)


@cache
def missing_packages(target: str) -> list[str]:
    """Packages that the module of a target imports at its top and that are not installed."""
    names: list[str] = []
    for node in _tree(target.rpartition(".")[0]).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    tops = dict.fromkeys(name.split(".")[0] for name in names)
    return [top for top in tops if not _is_installed(top)]


@cache
def _is_installed(package: str) -> bool:
    try:
        return package in sys.builtin_module_names or find_spec(package) is not None
    except (ImportError, ValueError):  # imported already, by other means
        return package in sys.modules


def docstring(target: str) -> str:
    """What a class or function says of itself, "" if nothing. Raises UnknownTarget."""
    module, _, name = target.rpartition(".")
    return ast.get_docstring(_find(module, name)[0]) or ""


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _find(module: str, name: str) -> tuple[Definition, str]:
    """The definition of a name and the module that holds it, through `from x import name`."""
    for node in _tree(module).body:
        if isinstance(node, Definition) and node.name == name:
            return node, module
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _find(node.module, alias.name)
    raise UnknownTarget(f"{module} has no {name}")


@cache
def _tree(module: str) -> ast.Module:
    try:
        return ast.parse(_source_file(module).read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):  # built into Python, or compiled
        raise UnknownTarget(f"the source of {module} cannot be read") from None


def _source_file(module: str) -> Path:
    """Where a module's source lies; only its top-level package is looked up: no import."""
    top, *rest = module.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise UnknownTarget(f"there is no package {top}")
    if not rest and spec.origin:
        return Path(spec.origin)
    for folder in spec.submodule_search_locations or []:
        path = Path(folder).joinpath(*rest)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    raise UnknownTarget(f"there is no module {module}")


def _class_signature(node: ast.ClassDef, home: str) -> Signature:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            own = _function_signature(node.name, item.args, skip_first=True)
            if not own.open_ended or not node.bases:
                return own
            base = _base_signature(node, home)
            return Signature(node.name, base.parameters | own.parameters, base.open_ended)
    if _is_dataclass(node):
        return Signature(node.name, _fields(node, home), open_ended=False)
    base = _base_signature(node, home)
    return Signature(node.name, base.parameters, base.open_ended)


def _is_dataclass(node: Definition) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def _fields(node: ast.ClassDef, home: str) -> dict[str, Parameter]:
    """The fields of a dataclass, behind those of the dataclass that it extends."""
    found: dict[str, Parameter] = {}
    if node.bases:
        try:
            base, where = _find(home, ast.unparse(node.bases[0]))
        except UnknownTarget:
            pass  # not a class of the same module or an imported name
        else:
            if isinstance(base, ast.ClassDef) and _is_dataclass(base):
                found = _fields(base, where)
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and "ClassVar" not in ast.unparse(item.annotation):
            name = ast.unparse(item.target)
            found[name] = Parameter(name, ast.unparse(item.annotation), item.value is None)
    return found


def _base_signature(node: ast.ClassDef, home: str) -> Signature:
    """The signature of the first base class; anything goes where its source cannot be read."""
    base = ast.unparse(node.bases[0]).split("[")[0] if node.bases else ""
    if base in NO_OPTIONS:
        return Signature(node.name, {}, open_ended=False)
    try:
        found, where = _find(home, base)
    except (UnknownTarget, RecursionError):
        return Signature(node.name, {}, open_ended=True)
    assert isinstance(found, ast.ClassDef)
    return _class_signature(found, where)


def _function_signature(name: str, args: ast.arguments, *, skip_first: bool) -> Signature:
    positional = [*args.posonlyargs, *args.args]
    n_required = len(positional) - len(args.defaults)
    parameters = {}
    for i, arg in enumerate(positional):
        parameters[arg.arg] = _parameter(arg, required=i < n_required)
    if skip_first:
        del parameters[positional[0].arg]
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        parameters[arg.arg] = _parameter(arg, required=default is None)
    return Signature(name, parameters, open_ended=args.kwarg is not None)


def _parameter(arg: ast.arg, *, required: bool) -> Parameter:
    return Parameter(arg.arg, ast.unparse(arg.annotation) if arg.annotation else "", required)
