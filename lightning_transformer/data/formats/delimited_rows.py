"""Rows of delimited fields: .csv and .tsv."""

import csv
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from lightning_transformer.data.files import lines
from lightning_transformer.data.formats.json_rows import Row

AUTO = "auto"


def check_delimited(delimiter: str | None, quote: str | None) -> None:
    """Raise ValueError unless both are one character; delimiter may be \\t, quote `auto`."""
    if delimiter is not None and len(delimiter.replace("\\t", "\t")) != 1:
        raise ValueError(
            f"data.delimiter={delimiter!r} must be one character, for example "
            "\"data.delimiter=';'\", or 'data.delimiter=\\t' for a tab"
        )
    if quote is not None and quote != AUTO and len(quote) != 1:
        raise ValueError(
            f"data.quote={quote!r} must be auto, one character, or null, for example null"
        )


def delimited(
    path: str,
    keys: Sequence[str],
    *,
    key: str,
    delimiter: str,
    quote: str | None = AUTO,
    columns: Sequence[str] | None = None,
) -> Iterator[Row]:
    """Yield the line in which a row ends and the values of `keys`.

    The first line names the columns, unless `columns` does. quote: the character around fields that
    hold delimiters; None = quotes are text; auto = ", with which a field of tabs may not go over
    several lines, as one quote at the start of a text would join rows. After a comma, spaces in
    front of a field are no part of it.
    Raises ValueError, with file and line, for what is malformed, and for a column twice.
    """
    rows = raw_rows(path, key=key, delimiter=delimiter, quote=quote)
    names = [str(name) for name in columns] if columns is not None else next(rows, HEADLESS).fields
    places = [place_of(path, names, name) for name in keys]
    for number, row, _ in rows:
        check_width(path, number, row, names, named=columns is not None)
        yield number, tuple(row[place] for place in places)


class RawRow(NamedTuple):
    """The line in which a row ends, its fields, and its text without the last end of line."""

    number: int
    fields: list[str]
    text: str


HEADLESS = RawRow(0, [], "")


def raw_rows(path: str, *, key: str, delimiter: str, quote: str | None = AUTO) -> Iterator[RawRow]:
    """Yield all rows of a file, a header among them, but no empty lines; see `delimited`."""
    options: dict[str, Any] = {"delimiter": delimiter.replace("\\t", "\t"), "strict": True}
    if quote is None:
        options["quoting"] = csv.QUOTE_NONE
    else:
        options["quotechar"] = '"' if quote == AUTO else quote
    options["skipinitialspace"] = options["delimiter"] == ","
    one_line = quote == AUTO and options["delimiter"] == "\t"
    csv.field_size_limit(sys.maxsize)
    taken: list[str] = []
    reader = csv.reader(_noting(lines(path, key=key), taken), **options)
    last = 0
    try:
        for row in reader:
            text = "\n".join(taken)
            taken.clear()
            if not row:
                last = reader.line_num
                continue
            if one_line and reader.line_num > last + 1:
                raise ValueError(
                    f"{path}:{last + 1}: a field in quotes goes on until line {reader.line_num}; "
                    "if quotes are part of the text, use data.quote=null, else "
                    '"data.quote=\'\\"\'"'
                )
            last = reader.line_num
            yield RawRow(last, row, text)
    except csv.Error as error:
        raise ValueError(
            f"{path}:{reader.line_num}: {error}; expected fields separated by "
            f"{options['delimiter']!r}; if quotes are part of the text, use data.quote=null"
        ) from None


def _noting(source: Iterator[str], taken: list[str]) -> Iterator[str]:
    for line in source:
        taken.append(line)
        yield f"{line}\n"


def check_width(
    path: str, number: int, row: Sequence[str], names: Sequence[str], *, named: bool
) -> None:
    """Refuse a row with another number of fields than there are names, by data.columns or not."""
    if len(row) != len(names):
        where = "as data.columns says" if named else "as in the first line"
        raise ValueError(
            f"{path}:{number}: expected {len(names)} fields, {where}; found {len(row)}"
        )


def place_of(path: str, names: Sequence[str], name: str) -> int:
    """The place of a column. Raises ValueError where it is missing, or there twice."""
    stripped = [found.strip() for found in names]
    found = [at for at, other in enumerate(stripped) if other == name]
    if not found:
        raise ValueError(f"{path}:1: no column {name!r}; found: {_list(stripped)}")
    if len(found) > 1:
        raise ValueError(
            f"{path}:1: {len(found)} columns are called {name!r}; rename them, or name all columns "
            f"by data.columns=[{', '.join(_unique(stripped))}] after removing the first line"
        )
    return found[0]


def _unique(names: Sequence[str]) -> list[str]:
    return [
        name if names.index(name) == at else f"{name}_{at + 1}" for at, name in enumerate(names)
    ]


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "no columns"
