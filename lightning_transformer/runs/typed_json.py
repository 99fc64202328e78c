"""Dataclasses from JSON, each value checked against its type."""

import json
import sys
from dataclasses import is_dataclass
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

    Raises ValueError that names the key where it is of another type or lacks a field.
    """
    parts = get_args(kind)
    if kind is Any:
        return value
    if is_dataclass(kind) and isinstance(value, dict):
        fields = get_type_hints(kind)
        if missing := [name for name in fields if name not in value]:
            raise ValueError(f"{_below(key, missing[0])} is missing")
        return kind(**{n: from_json(hint, value[n], _below(key, n)) for n, hint in fields.items()})  # type: ignore[operator]
    if get_origin(kind) is dict and isinstance(value, dict):
        return {name: from_json(parts[1], item, _below(key, name)) for name, item in value.items()}
    if get_origin(kind) is list and isinstance(value, list):
        return [from_json(parts[0], item, f"{key}[{i}]") for i, item in enumerate(value)]
    plain = parts if get_origin(kind) in (Union, UnionType) else (kind,)
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
