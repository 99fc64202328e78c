"""The role that each name plays in a Python source, by its syntax tree."""

import ast
import builtins
import re
from collections.abc import Iterator, Sequence

ROLES = (
    "attribute",
    "builtin",
    "call",
    "class",
    "function",
    "keyword_argument",
    "module",
    "parameter",
    "variable",
)
_BUILTINS = frozenset(dir(builtins))
_HEAD = re.compile(r"(?:(?:async\s+)?def|class)\s+")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def imported_modules(tree: ast.Module) -> frozenset[str]:
    """Return the names that `import` statements bind anywhere in a file."""
    return frozenset(
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    )


class _Names(ast.NodeVisitor):
    """Collects (line from 1, column in bytes, name, role) of the names under a node."""

    def __init__(self, lines: list[str], modules: frozenset[str]) -> None:
        self.lines, self.modules = lines, modules
        self.parameters: frozenset[str] = frozenset()
        self.found: list[tuple[int, int, str, str]] = []

    def add(self, line: int, column: int, name: str, role: str) -> None:
        self.found.append((line, column, name, role))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Stop: strings carry no tags, and before Python 3.12 positions inside are wrong."""

    def visit_head(self, node: Function | ast.ClassDef, role: str) -> None:
        rest = self.lines[node.lineno - 1].encode()[node.col_offset :].decode()
        if head := _HEAD.match(rest):
            self.add(node.lineno, node.col_offset + head.end(), node.name, role)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.visit_head(node, "class")
        self.generic_visit(node)

    def visit_FunctionDef(self, node: Function) -> None:
        self.visit_head(node, "function")
        around = [*node.decorator_list, *([node.returns] if node.returns else [])]
        self.visit_scope(node.args, around, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit_scope(node.args, [], [node.body])

    def visit_scope(
        self, arguments: ast.arguments, around: list[ast.expr], body: Sequence[ast.AST]
    ) -> None:
        for node in around:
            self.visit(node)
        self.visit(arguments)
        outside = self.parameters
        declared = (n.arg for n in ast.walk(arguments) if isinstance(n, ast.arg))
        self.parameters = outside | frozenset(declared)
        for inner in body:
            self.visit(inner)
        self.parameters = outside

    def visit_arg(self, node: ast.arg) -> None:
        self.add(node.lineno, node.col_offset, node.arg, "parameter")
        self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg is not None:
            self.add(node.lineno, node.col_offset, node.arg, "keyword_argument")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name):
            self.visit_name(node.func, "call")
        elif isinstance(node.func, ast.Attribute):
            self.visit_attribute(node.func, "call")
        else:
            self.visit(node.func)
        for argument in [*node.args, *node.keywords]:
            self.visit(argument)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.visit_attribute(node, "attribute")

    def visit_attribute(self, node: ast.Attribute, role: str) -> None:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        column = node.end_col_offset - len(node.attr.encode())
        self.add(node.end_lineno, column, node.attr, role)
        self.visit(node.value)

    def visit_Name(self, node: ast.Name) -> None:
        self.visit_name(node, "variable")

    def visit_name(self, node: ast.Name, otherwise: str) -> None:
        role = otherwise
        if node.id in self.parameters:
            role = "parameter"
        elif node.id in self.modules:
            role = "module"
        elif node.id in _BUILTINS and isinstance(node.ctx, ast.Load):
            role = "builtin"
        self.add(node.lineno, node.col_offset, node.id, role)


def _units(tree: ast.Module) -> Iterator[tuple[ast.AST, int, int]]:
    """Yield (class or function, first line, last line), lines from 1.

    Top-level functions, methods, and the part of a top-level class before its first method.
    """
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            methods = [n for n in node.body if isinstance(n, Function)]
            yield (
                node,
                _first_line(node),
                (_first_line(methods[0]) - 1 if methods else node.end_lineno or node.lineno),
            )
            for method in methods:
                yield node, _first_line(method), method.end_lineno or method.lineno
        elif isinstance(node, Function):
            yield node, _first_line(node), node.end_lineno or node.lineno


def _first_line(node: Function | ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def roles(source: str, tree: ast.Module) -> list[tuple[int, int, list[tuple[int, str]]]]:
    """Return (first character, end, [(character of the name, role), ...]) of each unit of a source.

    Units are the top-level functions, the methods, and the part of each top-level class before its
    first method. Characters of names count from the start of the unit.
    """
    lines = source.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    visitor = _Names(lines, imported_modules(tree))
    visitor.visit(tree)
    names: dict[int, list[tuple[int, str]]] = {}
    for number, column, name, role in sorted(set(visitor.found)):
        line = lines[number - 1]
        character = column if line.isascii() else len(line.encode()[:column].decode())
        # Python folds compatibility characters in identifiers, which may shift a position.
        if line.startswith(name, character):
            names.setdefault(number, []).append((starts[number - 1] + character, role))
    found = []
    for _, first, last in _units(tree):
        start = starts[first - 1]
        inside = [n for number in range(first, last + 1) for n in names.get(number, ())]
        end = min(starts[last], len(source))
        found.append((start, end, [(character - start, role) for character, role in inside]))
    return found
