"""Files whose lines are kept as they are, with a prediction added to each."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from lightning_transformer.data.files import lines
from lightning_transformer.data.formats.compression import suffix
from lightning_transformer.data.formats.delimited_rows import (
    AUTO,
    RawRow,
    check_width,
    place_of,
    raw_rows,
)
from lightning_transformer.data.formats.json_rows import parse_line, pick
from lightning_transformer.data.formats.tagged_columns import word_lines

KEY = "--file"  # what messages call the file
TABS = (".tsv", ".tab")
NO_TAG = ("O", "_")  # of lines that hold no word


class Annotated(Protocol):
    """A file that is to get predictions."""

    @property
    def texts(self) -> Sequence[str | list[str]]:
        """What is predicted for; a list holds the words of one text."""
        ...

    def written(self, predictions: Iterable[Any]) -> Iterator[str]:
        """The lines of the file with the prediction of each text added to it."""
        ...


class JsonRows:
    """One object per line; each gets a key. A text may be a list of words, for tags."""

    def __init__(self, path: str, text_key: str, name: str) -> None:
        self.name = name
        self.lines: list[str] = []
        self.texts: list[str | list[str]] = []
        for number, line in enumerate(lines(path, key=KEY), start=1):
            if not line.strip():
                continue
            item = parse_line(path, number, line)
            _, (text,) = pick(path, number, item, [text_key])
            if name in item:
                raise ValueError(f"{path}:{number}: {_taken('key', name)}")
            is_words = isinstance(text, list) and all(isinstance(word, str) for word in text)
            if not is_words and (isinstance(text, bool) or not isinstance(text, str | int | float)):
                raise ValueError(
                    f"{path}:{number}: key {text_key!r} must hold text or a list of words; got "
                    f"{type(text).__name__}"
                )
            self.lines.append(line.rstrip())
            self.texts.append(text if is_words else str(text))

    def written(self, predictions: Iterable[Any]) -> Iterator[str]:
        for line, prediction in zip(self.lines, predictions, strict=True):
            added = f"{json.dumps(self.name)}: {json.dumps(prediction, ensure_ascii=False)}"
            # Objects are not written anew, so that numbers and escapes stay as they were.
            yield f"{line.removesuffix('}').rstrip()}, {added}}}"


class Delimited:
    """Rows of fields; each gets one more. columns: names of them, where the file has none."""

    def __init__(
        self,
        path: str,
        text_key: str,
        name: str,
        delimiter: str,
        quote: str | None,
        columns: Sequence[str] | None,
    ) -> None:
        self.path, self.delimiter, self.quote = path, delimiter, quote
        rows = list(raw_rows(path, key=KEY, delimiter=delimiter, quote=quote))
        self.header: RawRow | None = None
        if columns is None:
            if not rows:
                raise ValueError(f"{KEY}={path} is empty; it must hold a line of names and rows")
            self.header, *rows = rows
        names = self.header.fields if self.header else [str(column) for column in columns or ()]
        if name in (other.strip() for other in names):
            raise ValueError(f"{path}: {_taken('column', name)}")
        place = place_of(path, names, text_key)
        for row in rows:
            check_width(path, row.number, row.fields, names, named=columns is not None)
        self.name, self.rows = name, rows
        self.texts = [row.fields[place] for row in rows]

    def written(self, predictions: Iterable[Any]) -> Iterator[str]:
        if self.header is not None:
            yield self._line(self.header, self.name)
        for row, prediction in zip(self.rows, predictions, strict=True):
            text = f"{prediction:.6g}" if isinstance(prediction, float) else str(prediction or "")
            yield self._line(row, text)

    def _line(self, row: RawRow, added: str) -> str:
        if self.quote is None:
            if self.delimiter in added or "\n" in added:
                raise ValueError(
                    f"{self.path}:{row.number}: the prediction holds the delimiter, and the run's "
                    "data.quote=null leaves no way to write it; use --format jsonl"
                )
            return f"{row.text}{self.delimiter}{added}"
        # As a second field, because a single empty one would be quoted.
        written = io.StringIO()
        quote = '"' if self.quote == AUTO else self.quote
        csv.writer(written, delimiter=self.delimiter, quotechar=quote, lineterminator="").writerow(
            ["x", added]
        )
        return row.text + written.getvalue()[1:]


class Columns:
    """One word per line, as in the CoNLL shared tasks; each line gets a column of tags."""

    def __init__(self, path: str, word_column: int) -> None:
        self.lines = list(lines(path, key=KEY))
        sentences = list(word_lines(path, key=KEY, word_column=word_column))
        self.texts = [[word.text for word in words] for words in sentences]
        self.numbers = [word.number for words in sentences for word in words]

    def written(self, predictions: Iterable[Any]) -> Iterator[str]:
        tags = dict(zip(self.numbers, (t for tags in predictions for t in tags), strict=True))
        nothing = NO_TAG[0] if NO_TAG[0] in tags.values() else NO_TAG[1]
        for number, line in enumerate(self.lines, start=1):
            is_comment = line.startswith("#") and number not in tags
            if not line.strip() or is_comment:
                yield line
            else:
                yield f"{line}{chr(9) if chr(9) in line else ' '}{tags.get(number, nothing)}"


def _taken(what: str, name: str) -> str:
    return f"there is a {what} {name!r} already; give the added one another name by --as"


FORMATS = ("conll", "jsonl", "csv")


def open_annotated(
    path: str, kind: str, name: str, text_key: str | None, data: Mapping[str, Any]
) -> Annotated:
    """Read a file that is to get predictions.

    kind: one of FORMATS. name: of what is added. data: the options of the run's data, which say
    where words and texts stand. Raises ValueError, with file and line, for what cannot be read.
    """
    if kind == "conll":
        return Columns(path, int(data.get("word_column") or 0))
    key = text_key or data.get("text_key") or data.get("source_key") or "text"
    if kind == "jsonl":
        return JsonRows(path, key, name)
    given = str(data.get("delimiter") or "").replace("\\t", "\t")
    delimiter = given or ("\t" if suffix(Path(path)) in TABS else ",")
    return Delimited(path, key, name, delimiter, data.get("quote", AUTO), data.get("columns"))


def predictions(task: Any, model: Any, file: Annotated, kind: str, options: Any) -> Iterator[Any]:
    """What a task predicts for each text of a file: its value, for a class without probability.

    Raises ValueError for a task whose predictions do not fit the kind of file.
    """
    tags = hasattr(task, "predict_words")
    if kind == "conll" and not tags:
        raise ValueError(
            f"--format=conll adds tags, and a {type(task).__name__} run gives none; use "
            "--format=jsonl or csv"
        )
    if kind == "csv" and tags:
        raise ValueError("--format=csv: tags are one per word; use --format=conll or jsonl")
    has_words = [isinstance(text, list) for text in file.texts]
    if any(has_words) and not (tags and all(has_words)):
        raise ValueError(
            "some texts are lists of words, which a tagging run reads, all or none of them; give "
            "the key of a text by --text-key"
        )
    if any(has_words):
        yield from task.predict_words(model, file.texts, options)
        return
    for prediction in task.predict(model, file.texts, options):
        value = prediction.result()
        yield value[0] if isinstance(value, tuple) else value
