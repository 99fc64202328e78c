"""How the rows of a user's file are read: its format, and what stands for no value."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lightning_transformer.data.files import matching_files
from lightning_transformer.data.formats.arrow_rows import arrow, parquet
from lightning_transformer.data.formats.compression import suffix
from lightning_transformer.data.formats.delimited_rows import AUTO, check_delimited, delimited
from lightning_transformer.data.formats.hub_rows import hub, hub_stream, stored_files, stream
from lightning_transformer.data.formats.json_rows import json_array, json_lines

Reader = Callable[..., Iterator[tuple[int, tuple[Any, ...]]]]
READERS: dict[str, Reader] = {
    "jsonl": json_lines,
    "json": json_array,
    "csv": partial(delimited, delimiter=","),
    "tsv": partial(delimited, delimiter="\t"),
    "parquet": parquet,
    "arrow": arrow,
    "hub": hub,
    "hub_stream": hub_stream,
}
NO_FILES = ("hub", "hub_stream")
OTHER_SUFFIXES = {"ndjson": "jsonl", "tab": "tsv", "feather": "arrow", "pq": "parquet"}
DELIMITED = ("csv", "tsv")
SEPARATOR = "\x1f"  # goes before each item of a list that is kept as text


@dataclass(frozen=True)
class RowOptions:
    """Options for reading rows: from .jsonl, .json, .csv, .tsv, .parquet or .arrow files.

    format: one of these without its dot; auto = by the suffix, below that of a compression. hub and
    hub_stream read a data set of the Hugging Face hub, see `hub`.
    delimiter, quote, columns: of .csv and .tsv, see `delimited`; no delimiter = the format's own.
    null_values: texts that stand for no value, as null of JSON does, and NaN of numbers.
    Raises ValueError for values that are not valid, and for options that a file has no use for.
    """

    format: str = AUTO
    delimiter: str | None = None
    quote: str | None = AUTO
    columns: Sequence[Any] | None = None
    null_values: Sequence[Any] | None = None

    def __post_init__(self) -> None:
        if self.format not in (AUTO, *READERS):
            raise ValueError(
                f"data.format={self.format} must be auto, {', '.join(READERS)}; "
                "for example auto, which goes by the suffix"
            )
        check_delimited(self.delimiter, self.quote)

    def files(self, path: str, key: str) -> list[str]:
        """The files of a path or pattern; a data set of the hub is none."""
        if self.format in NO_FILES:
            return [path]
        return [str(file) for file in matching_files(path, key=key)]

    def inputs(self, path: str, key: str) -> list[Path]:
        """The files on this machine that hold the rows; those of a stream are read into one."""
        if self.format == "hub_stream":
            return [stream(path, key)]
        return stored_files(path, key) if self.format == "hub" else matching_files(path, key=key)

    def format_of(self, path: str, key: str) -> str:
        """The format of a file. Raises ValueError for a suffix that names none."""
        if self.format != AUTO:
            return self.format
        name = suffix(path).removeprefix(".")
        name = OTHER_SUFFIXES.get(name, name)
        if name not in READERS:
            raise ValueError(
                f"{key}={path}: unknown kind of file {suffix(path)!r}; use .jsonl, .json, .csv, "
                ".tsv, .parquet or .arrow, or say what it is by data.format=tsv"
            )
        return name

    def read(
        self, path: str, keys: Sequence[str], *, key: str, lists: Sequence[str] = ()
    ) -> Iterator[tuple[int, tuple[str | None, ...]]]:
        """Yield the line or number of each row and the values of `keys`; None = no value.

        lists: those of the keys that may hold a list of texts, which `listed` takes apart again.

        Raises ValueError, with file and line, for what is malformed, and lists the keys found when
        one is missing.
        """
        kind = self.format_of(path, key)
        options = self._of_delimited(path, kind)
        nulls = {"" if value is None else str(value) for value in self.null_values or ()}
        for number, values in READERS[kind](path, keys, key=key, **options):
            if lists:
                values = tuple(
                    _joined(v) if k in lists else v for k, v in zip(keys, values, strict=True)
                )
            texts = tuple(_text(value, nulls) for value in values)
            if "" in texts or None in texts:
                _check_types(f"{path}:{number}", keys, values)
            for name, text in zip(keys, texts, strict=True):
                if text is not None and not text.isascii():
                    _check_characters(f"{path}:{number}", name, text)
            yield number, texts

    def _of_delimited(self, path: str, kind: str) -> dict[str, Any]:
        given = {
            "delimiter": self.delimiter,
            "quote": None if self.quote == AUTO else (self.quote or "null"),
            "columns": self.columns,
        }
        set_ = [name for name, value in given.items() if value is not None]
        if kind not in DELIMITED:
            if set_:
                raise ValueError(
                    f"data.{set_[0]} has no effect on {path}, whose format is {kind}; leave it "
                    "out, or say what the file is by data.format=csv"
                )
            return {}
        options: dict[str, Any] = {"quote": self.quote, "columns": self.columns}
        if self.delimiter is not None:
            options["delimiter"] = self.delimiter
        return options


def _text(value: Any, nulls: set[str]) -> str | None:
    if isinstance(value, float) and math.isnan(value):
        return None
    if value is None or isinstance(value, str | int | float):
        text = None if value is None else str(value)
        return None if text in nulls else text
    return None


def _joined(value: Any) -> Any:
    """A list of texts or numbers as one text, other values as they are."""
    if not isinstance(value, list) or not all(isinstance(v, str | int | float) for v in value):
        return value
    return SEPARATOR + SEPARATOR.join(map(str, value)) if value else SEPARATOR


def listed(text: str) -> list[str] | None:
    """The items of a value that was a list in the file; None = it was none."""
    if not text.startswith(SEPARATOR):
        return None
    return text[1:].split(SEPARATOR) if len(text) > 1 else []


def _check_characters(place: str, name: str, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise ValueError(
            f"{place}: key {name!r} holds {half}, half of a character; write the whole one, or none"
        ) from None


def _check_types(place: str, keys: Sequence[str], values: Sequence[Any]) -> None:
    for name, value in zip(keys, values, strict=True):
        if value is not None and not isinstance(value, str | int | float):
            raise ValueError(
                f"{place}: key {name!r} must hold text or a number; got {type(value).__name__}"
            )
