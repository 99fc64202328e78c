"""Rows of JSON: one object per line, or one array of objects."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from lightning_transformer.data.files import lines, pieces

Row = tuple[int, tuple[Any, ...]]


class _DuplicateKey(Exception):
    """An object that has a key twice, of which Python would keep the last."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateKey(next(name for name in names if names.count(name) > 1))
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def _value(item: Any, name: str) -> tuple[bool, Any]:
    """Whether an object has a key, or with a.b the key b of its key a, and the value."""
    if not isinstance(item, dict):
        return False, None
    if name in item:
        return True, item[name]
    outer, dot, inner = name.partition(".")
    while dot:
        if outer in item:
            return _value(item[outer], inner)
        further, dot, inner = inner.partition(".")
        outer = f"{outer}.{further}"
    return False, None


def pick(path: str, number: int, item: Any, keys: Sequence[str]) -> Row:
    """The values of keys in an object; ValueError with the keys found where one is missing."""
    values = []
    for name in keys:
        found, value = _value(item, name)
        if not found:
            names = ", ".join(sorted(item)) if isinstance(item, dict) else ""
            raise ValueError(f"{path}:{number}: no key {name!r}; found: {names or 'no keys'}")
        values.append(value)
    return number, tuple(values)


def json_lines(path: str, keys: Sequence[str], *, key: str) -> Iterator[Row]:
    """Yield the line and the values of `keys` of each object, one per line; empty lines are none.

    A key a.b that an object lacks is the key b of the object at its key a. A file that begins with
    [ is read as an array. Raises ValueError, with file and line, for what is malformed.
    """
    begun = False
    for number, line in enumerate(lines(path, key=key), start=1):
        if not line or line.isspace():
            continue
        if not begun and line.lstrip().startswith("["):
            yield from json_array(path, keys, key=key)
            return
        begun = True
        yield pick(path, number, parse_line(path, number, line), keys)


def parse_line(path: str, number: int, line: str) -> Any:
    """What a line of JSON holds. Raises ValueError, with file and line, for what is malformed."""
    try:
        return _DECODER.decode(line)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}:{number}: {error.msg}; expected one JSON object per line"
        ) from None
    except _DuplicateKey as error:
        raise _twice(path, number, error) from None
    except RecursionError:
        raise ValueError(f"{path}:{number}: nested too deeply to be read") from None


def _twice(path: str, number: int, error: _DuplicateKey) -> ValueError:
    return ValueError(f"{path}:{number}: key {str(error)!r} occurs twice in one object; keep one")


def json_array(path: str, keys: Sequence[str], *, key: str) -> Iterator[Row]:
    """Yield the number, from 1, and the values of `keys` of each object of one array.

    The array is read item by item. A file that does not begin with [ has one object per line.
    Raises ValueError, with file and line, for what is malformed.
    """
    source, text = pieces(path, key=key), ""
    for piece in source:
        text = (text + piece) if text.strip() else piece
        if text.strip():
            break
    if not text.lstrip().startswith("["):
        yield from json_lines(path, keys, key=key)
        return
    reader = _ArrayReader(path, text, source)
    for number, item in enumerate(reader.items(), start=1):
        yield pick(path, number, item, keys)


class _ArrayReader:
    """The items of a JSON array whose text comes in pieces; only what is not yet read is kept."""

    def __init__(self, path: str, text: str, source: Iterator[str]) -> None:
        self.path, self.text, self.source = path, text, source
        self.at, self.line = 0, 1

    def items(self) -> Iterator[Any]:
        self._peek()
        self._skip(1)
        if self._peek() == "]":
            self._skip(1)
        else:
            while True:
                yield self._item()
                mark = self._peek()
                if mark == "]":
                    self._skip(1)
                    break
                if mark != ",":
                    self._fail("Expecting ',' delimiter")
                self._skip(1)
        if self._peek():
            self._fail("Extra data")

    def _fail(self, reason: str, further: int = 0) -> None:
        line = self.line + self.text.count("\n", 0, self.at + further)
        raise ValueError(f"{self.path}:{line}: {reason}; expected valid JSON") from None

    def _skip(self, n: int) -> None:
        self.at += n

    def _grow(self) -> bool:
        """Drop what is read, and read at least as much again as is left; False at the end."""
        self.line += self.text.count("\n", 0, self.at)
        parts, self.at = [self.text[self.at :]], 0
        wanted, got = len(parts[0]), 0
        for piece in self.source:
            parts.append(piece)
            got += len(piece)
            if got >= wanted:
                break
        self.text = "".join(parts)
        return got > 0

    def _peek(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in " \t\n\r":
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._grow():
                return ""

    def _item(self) -> Any:
        self._peek()
        while True:
            try:
                item, end = _DECODER.raw_decode(self.text, self.at)
                if end < len(self.text) or not self._grow():  # else a number may go on
                    self.at = end
                    return item
            except json.JSONDecodeError as error:
                at, reason = error.pos - self.at, error.msg
                if not self._grow():
                    self._fail(reason, at)
            except _DuplicateKey as error:
                raise _twice(self.path, self.line, error) from None
            except RecursionError:
                self._fail("nested too deeply to be read")
