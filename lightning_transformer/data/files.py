"""Reading the text files of users, with errors that say how to fix them."""

import csv
import difflib
import glob
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def check_file(path: str, key: str) -> Path:
    """Return the path of an existing file.

    Raises ValueError that names the setting `key` when it is missing or not a file.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise ValueError(f"{key}={path} is a folder; give a file, or a pattern such as {path}/*")
    if not file.exists():
        folder = file.parent
        names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        near = difflib.get_close_matches(file.name, names, n=1)
        if not folder.is_dir():
            hint = f"there is no folder {folder}"
        elif near:
            hint = f"closest existing name: {folder / near[0]}"
        else:
            hint = f"nothing in {folder} has a similar name"
        raise ValueError(f"{key}={path}: no such file (working folder {Path.cwd()}); {hint}")
    return file


def read_text(path: str, *, key: str) -> str:
    """Read a UTF-8 file; a byte order mark is dropped and CRLF becomes LF.

    Raises ValueError when it is missing, not a file, or not UTF-8 (never silently replaced).
    """
    content = check_file(path, key).read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{key}={path} is not UTF-8 at byte {error.start} (0x{content[error.start]:02x}); "
            "convert it, for example with iconv -t UTF-8"
        ) from None
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def matching_files(pattern: str, *, key: str) -> list[Path]:
    """Return the files of a path or glob pattern (** = any depth), sorted by name."""
    if not glob.has_magic(pattern) or Path(pattern).expanduser().exists():
        return [check_file(pattern, key)]
    expanded = str(Path(pattern).expanduser())
    files = sorted(p for p in map(Path, glob.glob(expanded, recursive=True)) if p.is_file())
    if not files:
        raise ValueError(
            f"{key}={pattern} matches no file (working folder {Path.cwd()}); "
            "give one, for example texts/*.txt"
        )
    return files


def _objects(path: str, text: str) -> Iterable[tuple[int, Any]]:
    """Yield (line number or item number, object) of JSON lines, or of one JSON array."""
    if text.lstrip().startswith("["):
        try:
            yield from enumerate(json.loads(text), start=1)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}:{error.lineno}: {error.msg}; expected valid JSON") from None
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(
                    f"{path}:{number}: {error.msg}; expected one JSON object per line"
                ) from None


def _json_rows(path: str, text: str, keys: tuple[str, ...]) -> list[tuple[str, ...]]:
    rows = []
    for number, item in _objects(path, text):
        found = sorted(item) if isinstance(item, dict) else []
        for key in keys:
            if key not in found:
                raise ValueError(
                    f"{path}:{number}: no key {key!r}; found: {', '.join(found) or 'no keys'}"
                )
            if not isinstance(item[key], str | int):
                kind = type(item[key]).__name__
                raise ValueError(f"{path}:{number}: key {key!r} must hold text; got {kind}")
        rows.append(tuple(str(item[key]) for key in keys))
    return rows


def _column_rows(
    path: str, text: str, keys: tuple[str, ...], delimiter: str
) -> list[tuple[str, ...]]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        found = list(reader.fieldnames or [])
        for key in keys:
            if key not in found:
                raise ValueError(
                    f"{path}:1: no column {key!r}; found: {', '.join(found) or 'no columns'}"
                )
        for row in reader:
            if any(row[key] is None for key in keys) or None in row:
                raise ValueError(
                    f"{path}:{reader.line_num}: expected {len(found)} fields, as in the first line"
                )
            rows.append(tuple(row[key] for key in keys))
    except csv.Error as error:
        raise ValueError(
            f"{path}:{reader.line_num}: {error}; expected comma or tab separated fields"
        ) from None
    return rows


def read_rows(path: str, keys: tuple[str, ...], *, key: str) -> list[tuple[str, ...]]:
    """Read the values of `keys` from each row of a .jsonl, .json, .csv or .tsv file.

    JSON is one object per line or one array of objects; CSV and TSV start with a line of names.
    Raises ValueError, with file and line, for what is malformed, and lists the keys found when one
    is missing.
    """
    text = read_text(path, key=key)
    suffix = Path(path).suffix.lower()
    if suffix in (".jsonl", ".json"):
        return _json_rows(path, text, keys)
    if suffix in (".csv", ".tsv"):
        return _column_rows(path, text, keys, "," if suffix == ".csv" else "\t")
    raise ValueError(
        f"{key}={path}: unknown kind of file {suffix!r}; use .jsonl, .json, .csv or .tsv"
    )
