"""The text that every Python brings along: its language reference and its standard library."""

import ast
import hashlib
import io
import logging
import os
import sys
import sysconfig
import tokenize
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from lightning_transformer.data.cache import cached

log = logging.getLogger(__name__)
T = TypeVar("T")

EXCLUDED = frozenset(
    {
        "site-packages",  # not the standard library
        "dist-packages",
        "test",  # odd on purpose, and absent from many installations
        "tests",
        "idle_test",
        "lib2to3",  # with its own test data
        "encodings",  # 1.4 MB of tables
        "pydoc_data",  # read as topics
        "__pycache__",
    }
)


class SourceFile(NamedTuple):
    """A source file: its name relative to the library, with slashes, its path and size in bytes."""

    name: str
    path: Path
    size: int


def source_files() -> list[SourceFile]:
    """List the sources of the running Python's standard library by name; [] if there are none."""
    library = Path(sysconfig.get_paths()["stdlib"])
    found = []
    for folder, folders, files in os.walk(library):
        # Names with config- and _sysconfigdata describe the machine, not the language.
        folders[:] = [f for f in folders if f not in EXCLUDED and not f.startswith("config-")]
        for file in files:
            if file.endswith(".py") and not file.startswith("_sysconfigdata"):
                path = Path(folder) / file
                name = path.relative_to(library).as_posix()
                found.append(SourceFile(name, path, path.stat().st_size))
    return sorted(found)


def read_source(file: SourceFile) -> str | None:
    """Read a source in the encoding that it declares; None when it cannot be decoded."""
    content = file.path.read_bytes()
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError):
        return None
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def parse(text: str) -> ast.Module | None:
    """Parse a source; None when it is not valid for the running Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError):
            return None


def cached_over(name: str, files: list[SourceFile], code: str, compute: Callable[[], T]) -> T:
    """Compute something from source files, or take it from the cache.

    The key covers the interpreter, the names and sizes of the files, and the code that computes:
    `code` is the path of its module.
    """
    digest = hashlib.sha256(repr([(f.name, f.size) for f in files]).encode())
    for module in (__file__, code):
        if os.path.isfile(module):
            digest.update(Path(module).read_bytes())
    version = ".".join(str(part) for part in sys.version_info[:3])
    return cached(name, f"{sys.implementation.name}-{version}-{digest.hexdigest()[:16]}", compute)


def _documented(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the module, classes and functions under a node, without looking into expressions."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _documented(child)


def _docstrings_of(text: str) -> list[str]:
    tree = parse(text)
    nodes = _documented(tree) if tree is not None else ()
    found = [docstring for node in nodes if (docstring := ast.get_docstring(node))]  # type: ignore[arg-type]
    # Escapes may spell lone surrogates, which no UTF-8 text can hold.
    return [docstring.encode("utf-8", errors="replace").decode() for docstring in found]


def docstrings() -> dict[str, list[str]]:
    """Return the docstrings of each source file, cleaned of indentation; {} without sources."""
    files = source_files()

    def compute() -> dict[str, list[str]]:
        texts = {file.name: read_source(file) for file in files}
        found = {name: _docstrings_of(text) for name, text in texts.items() if text}
        return {name: strings for name, strings in found.items() if strings}

    if not files:
        log.info("no sources of the standard library found: using only the language reference")
        return {}
    return cached_over("docstrings", files, __file__, compute)


def topics() -> dict[str, str]:
    """Return the chapters of the Python language reference that help() shows, by name.

    Raises ValueError on installations without the module pydoc_data.
    """
    try:
        from pydoc_data.topics import topics as chapters
    except ImportError:
        raise ValueError(
            "this Python has no module pydoc_data (Debian: install libpython3-stdlib); or use "
            "data=text data.path=<file>"
        ) from None
    return {name: chapters[name] for name in sorted(chapters)}
