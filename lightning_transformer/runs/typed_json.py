"""Dataclasses from JSON, each value checked against its type."""

import json
import sys
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
WORDS = {
    dict: "an object",
    list: "a list",
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
LONGEST = 60  # characters of a wrong value in its message


def read_typed(kind: type[T], file: Path, schema: int) -> T:
    """Read a dataclass that was written with its schema; keys that it does not have are left out.

    Raises:
        ValueError: in one line, for a file that is no JSON, or of another schema or shape.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise ValueError(f"{file} is not valid JSON") from None
    if not isinstance(content, dict) or content.get("schema") != schema:
        raise ValueError(f"{file} is not of schema {schema}")
    try:
        found: T = from_json(kind, content)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    return found


def from_json(kind: Any, value: Any, key: str = "") -> Any:
    """A value of JSON as ``kind``: a dataclass, dict, list, Any, or plain types.

    A field that it lacks, as files of older versions do, has its default. Raises ValueError that
    names the key where there is none, and where a value is of another type.
    """
    parts = get_args(kind)
    if kind is Any:
        return value
    if get_origin(kind) in (Union, UnionType) and isinstance(value, dict):  # of a dataclass or null
        kind = next((part for part in parts if is_dataclass(part)), kind)
    if is_dataclass(kind) and isinstance(value, dict):
        hints = get_type_hints(kind)
        for field in fields(kind):
            if field.name not in value and (field.default, field.default_factory) == (MISSING,) * 2:
                raise ValueError(f"{_below(key, field.name)} is missing")
        there = {name: hint for name, hint in hints.items() if name in value}
        return kind(**{n: from_json(hint, value[n], _below(key, n)) for n, hint in there.items()})  # type: ignore[operator]
    if get_origin(kind) is dict and isinstance(value, dict):
        return {name: from_json(parts[1], item, _below(key, name)) for name, item in value.items()}
    if get_origin(kind) is list and isinstance(value, list):
        return [from_json(parts[0], item, f"{key}[{i}]") for i, item in enumerate(value)]
    plain = parts if get_origin(kind) in (Union, UnionType) else (kind,)
    for part in plain[:-1]:
        if is_dataclass(part) and isinstance(value, dict):
            return from_json(part, value, key)
    kinds = {int, float} if type(value) is int else {type(value)}
    if kinds & set(plain) and (type(value) is not int or _fits(value)):
        return value
    raise ValueError(f"{key}={_short(value)} must be {' or '.join(map(_in_words, plain))}")


def _fits(value: int) -> bool:
    """Whether a whole number is one of float's: 10**400 is valid JSON, and too large."""
    return abs(value) <= sys.float_info.max


def _in_words(kind: Any) -> str:
    return WORDS.get(get_origin(kind) or kind, "an object")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]}.."


def _below(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
