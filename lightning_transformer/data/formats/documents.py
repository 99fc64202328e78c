"""Documents within text files: one per file, per line, per block, or up to a marker."""

from collections.abc import Callable, Iterator

from lightning_transformer.data.files import lines, pieces
from lightning_transformer.data.formats.compression import is_compressed

LONGEST = 32_000_000
"""Characters of a document in a compressed file, which is in memory as a whole."""


def _check_length(n: int, path: str, key: str) -> None:
    if n > LONGEST and is_compressed(path):
        raise ValueError(
            f"{key}={path} unpacks to a document of more than {LONGEST / 1e6:g} million characters,"
            " which would be in memory as a whole; unpack the file, or use data.documents=line"
        )


def _file(path: str, key: str) -> Iterator[str]:
    parts: list[str] = []
    n = 0
    for piece in pieces(path, key=key):
        parts.append(piece)
        n += len(piece)
        _check_length(n, path, key)
    if parts:
        yield "".join(parts)


def _lines(path: str, key: str) -> Iterator[str]:
    return (line for line in lines(path, key=key) if line and not line.isspace())


def _blocks(path: str, key: str) -> Iterator[str]:
    block: list[str] = []
    for line in lines(path, key=key):
        if line and not line.isspace():
            block.append(line)
        elif block:
            yield "\n".join(block)
            block = []
    if block:
        yield "\n".join(block)


UNITS: dict[str, Callable[[str, str], Iterator[str]]] = {
    "file": _file,
    "line": _lines,
    "block": _blocks,
}


class DocumentReader:
    """Reads the documents of text files; those without text are none.

    unit: file = all of it is one; line = each line is one; block = blank lines are between them;
    any other text is the marker behind or between them, such as <|endoftext|>, which belongs to
    none, as line breaks beside it do not. n_markers: those found so far.
    Raises ValueError for a unit of white space.
    """

    def __init__(self, unit: str) -> None:
        if not unit.strip():
            raise ValueError(
                f"data.documents={unit!r} must be file, line, block, or a marker between "
                "documents, for example line"
            )
        self.unit, self.n_markers = unit, 0
        self.has_marker = unit not in UNITS

    def read(self, path: str, *, key: str) -> Iterator[str]:
        """Yield the documents of a file. Raises ValueError for a file that cannot be read."""
        found = UNITS[self.unit](path, key) if not self.has_marker else self._marked(path, key)
        yield from found

    def _marked(self, path: str, key: str) -> Iterator[str]:
        parts: list[str] = []
        tail, n = "", 0  # a marker may be cut between two pieces
        for piece in pieces(path, key=key):
            near, n = tail + piece, n + len(piece)
            _check_length(n, path, key)
            if self.unit not in near:
                parts.append(piece)
                tail = near[-len(self.unit) + 1 :] if len(self.unit) > 1 else ""
                continue
            *found, rest = "".join([*parts, piece]).split(self.unit)
            self.n_markers += len(found)
            yield from (text.strip("\n") for text in found if text.strip())
            parts, n = [rest], len(rest)
            tail = rest[-len(self.unit) + 1 :] if len(self.unit) > 1 else ""
        rest = "".join(parts)
        if rest.strip():
            yield rest.strip("\n")
