"""Sentences in columns, one word per line, as in the CoNLL shared tasks and in CoNLL-U."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lightning_transformer.data.files import lines

# What stands above a sentence where words are separated by white space: "# text = w x".
COMMENT = re.compile(r"#\s*[\w.:]+\s*=|#\s*(newdoc|newpar)\b|#(begin|end) document\b")
NEW_DOCUMENT = re.compile(r"#\s*newdoc\b|#begin document\b")
RANGE_OR_EMPTY = re.compile(r"\d+[-.]\d+")


class Sentence(NamedTuple):
    """Words with a tag each; document: where the one that holds them starts, None = not told."""

    words: list[str]
    tags: list[str]
    document: str | None


class Line(NamedTuple):
    """A line of a file and its number, from 1."""

    number: int
    text: str


def _blocks(path: str, key: str) -> Iterator[list[Line]]:
    """Yield the lines between blank lines."""
    block: list[Line] = []
    for number, line in enumerate(lines(path, key=key), start=1):
        if line and not line.isspace():
            block.append(Line(number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _fields(line: str) -> list[str]:
    """A line with a tab is separated by tabs alone, so that a word may hold spaces."""
    if "\t" in line:
        return [field.strip() for field in line.split("\t")]
    return line.split()


def _is_numbered(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first column numbers the words from 1, as from CoNLL-X to CoNLL-U."""
    firsts = [row[0] for row in rows if not RANGE_OR_EMPTY.fullmatch(row[0])]
    return len(rows[0]) >= 4 and firsts == [str(i) for i in range(1, len(firsts) + 1)]


def tagged_sentences(
    path: str, *, key: str, word_column: int, tag_column: int
) -> Iterator[Sentence]:
    """Yield the sentences of a file, which are separated by blank lines.

    A line with a tab is separated by tabs, others by white space. Columns are counted from 0, or
    from -1 backwards. A line -DOCSTART-, `# newdoc` or `#begin document` starts a document.
    Comments in front of a sentence are left out: lines with # and no tab where the words have tabs,
    or of the form `# name = value`. Where the first column numbers the words, so are ranges (1-2)
    and empty nodes (8.1).
    Raises ValueError, with file and line, where lines differ in their number of columns, where a
    column is missing or empty, and where words would be read out of the column of numbers.
    """
    document, width, numbers = None, 0, _NumbersAsWords(path, word_column)
    for block in _blocks(path, key):
        document, block = _without_comments(path, block, document)
        rows = [_fields(line.text) for line in block]
        for line, row in zip(block, rows, strict=True):
            _check_columns(path, line.number, row, word_column, tag_column)
            width = width or len(row)
            if len(row) != width:
                raise ValueError(
                    f"{path}:{line.number}: {len(row)} columns, but {width} in the lines before; "
                    "separate columns by tabs where words hold spaces"
                )
        if not rows:
            continue
        if word_column % width == 0:
            numbers.see(rows, block[0].number)
        elif _is_numbered(rows):
            kept = [not RANGE_OR_EMPTY.fullmatch(row[0]) for row in rows]
            rows = [row for row, keep in zip(rows, kept, strict=True) if keep]
        yield Sentence(
            [row[word_column] for row in rows], [row[tag_column] for row in rows], document
        )
    numbers.end()


def word_lines(path: str, *, key: str, word_column: int) -> Iterator[list[Line]]:
    """Yield the words of each sentence with the numbers of their lines; tags are not needed.

    Which lines hold words: see `tagged_sentences`. Raises ValueError where a word is missing.
    """
    numbers = _NumbersAsWords(path, word_column)
    for block in _blocks(path, key):
        _, block = _without_comments(path, block, None)
        rows = [_fields(line.text) for line in block]
        for line, row in zip(block, rows, strict=True):
            _check_column(path, line.number, row, "word_column", word_column)
        if not rows:
            continue
        kept = [True] * len(rows)
        if word_column % len(rows[0]) == 0:
            numbers.see(rows, block[0].number)
        elif _is_numbered(rows):
            kept = [not RANGE_OR_EMPTY.fullmatch(row[0]) for row in rows]
        yield [
            Line(line.number, row[word_column])
            for line, row, keep in zip(block, rows, kept, strict=True)
            if keep
        ]
    numbers.end()


class _NumbersAsWords:
    """Refuses a file in whose first sentences of several words all words are 1, 2, 3, ..

    One such sentence may be a row of a table; five, or all that there are, are a wrong column.
    """

    def __init__(self, path: str, word_column: int) -> None:
        self.path, self.word_column = path, word_column
        self.n_seen = self.first = 0
        self.open = True

    def see(self, rows: Sequence[Sequence[str]], number: int) -> None:
        if not self.open or len(rows) < 2:
            return
        self.n_seen, self.first = self.n_seen + 1, self.first or number
        self.open = _is_numbered(rows)
        if self.n_seen >= 5:
            self.end()

    def end(self) -> None:
        if self.open and self.n_seen:
            raise ValueError(
                f"{self.path}:{self.first}: data.word_column={self.word_column} holds the numbers "
                "of the words; use data.word_column=1, and for parts of speech data.tag_column=3"
            )


def _without_comments(
    path: str, block: list[Line], document: str | None
) -> tuple[str | None, list[Line]]:
    """The document that a block is of, and its lines that hold words."""
    has_tabs = any("\t" in line.text for line in block)
    kept: list[Line] = []
    for line in block:
        text = line.text
        is_comment = text.startswith("#") and "\t" not in text
        if is_comment and (COMMENT.match(text) or (has_tabs and not kept)):
            if NEW_DOCUMENT.match(text):
                document = f"{path}:{line.number}"
        elif text.split(None, 1)[0] == "-DOCSTART-":
            document = f"{path}:{line.number}"
        else:
            kept.append(line)
    return document, kept


def _check_columns(
    path: str, number: int, row: Sequence[str], word_column: int, tag_column: int
) -> None:
    n = len(row)
    _check_column(path, number, row, "word_column", word_column)
    _check_column(path, number, row, "tag_column", tag_column)
    if word_column % n == tag_column % n:
        raise ValueError(
            f"{path}:{number}: {n} columns, so data.word_column={word_column} and "
            f"data.tag_column={tag_column} are the same; give two columns"
        )


def _check_column(path: str, number: int, row: Sequence[str], name: str, column: int) -> None:
    n = len(row)
    if not -n <= column < n:
        raise ValueError(
            f"{path}:{number}: {n} columns, so data.{name}={column} does not exist; "
            f"valid are 0 to {n - 1}"
        )
    if not row[column]:
        raise ValueError(
            f"{path}:{number}: data.{name}={column} is empty; give the word, or _ or O as tag"
        )
