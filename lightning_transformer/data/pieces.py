"""Long texts as pieces, cut where no token crosses, so that they need not be in memory."""

import codecs
import itertools
import operator
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lightning_transformer.data.files import not_utf8

PIECE = 1 << 16
"""Characters after which a text is cut at the next place where that is possible."""
BLOCK = 1 << 20
"""Bytes of a file that are read at a time."""

ANYWHERE = re.compile("")
BETWEEN_WORDS = re.compile(r"(?<=\S)[ \t\r\n]")
"""The word pattern of GPT-2 joins no character but white space to white space that follows."""
AFTER_A_LINE = re.compile(r"(?<=[A-Za-z0-9])\n")
"""Later patterns join punctuation to the end of its line, but no letter or digit of ASCII."""


def cut(blocks: Iterable[str], where: re.Pattern[str] | None) -> Iterator[str]:
    """Yield the text of blocks in pieces of a little more than PIECE characters.

    where: matches at the places where the text may be cut; None = in one piece. The pieces do not
    depend on the blocks. Without text there is one piece, "".
    """
    rest, start = "", 0
    for block in blocks if where is not None else ["".join(blocks)]:
        rest, start = rest[start:] + block, 0
        while where is not None and len(rest) - start > PIECE:
            found = where.search(rest, start + PIECE)
            # At the very end the next block could still tell otherwise.
            if found is None or found.start() >= len(rest):
                break
            yield rest[start : found.start()]
            start = found.start()
    yield rest[start:]


@dataclass(frozen=True)
class FilePart:
    """Part of a checked UTF-8 file, read block by block; CRLF is read as LF.

    start, end: its bytes in the file, at borders of characters and not within a CRLF.
    n_crlf: how many CRLF it has. n_chars: characters of the text.
    """

    path: Path
    start: int
    end: int
    n_crlf: int
    n_chars: int

    @property
    def n_bytes(self) -> int:
        """UTF-8 bytes of the text."""
        return self.end - self.start - self.n_crlf

    def raw(self) -> Iterator[bytes]:
        """The bytes as they are in the file."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            left = self.end - self.start
            while left > 0 and (block := file.read(min(BLOCK, left))):
                left -= len(block)
                yield block

    def blocks(self) -> Iterator[str]:
        """The text, in blocks."""
        return (raw.replace("\r\n", "\n") for raw in self.raw_text())

    def utf8(self) -> Iterator[bytes]:
        """The text as UTF-8, in blocks."""
        if not self.n_crlf:
            return self.raw()
        return (text.encode() for text in self.blocks())

    def raw_text(self) -> Iterator[str]:
        """The characters as they are in the file; no block ends within a CRLF."""
        decoder, held = codecs.getincrementaldecoder("utf-8")(), ""
        for block in self.raw():
            text = held + decoder.decode(block)
            held = "\r" if text.endswith("\r") else ""
            yield text[: len(text) - len(held)]
        yield held


def scan(path: Path, key: str) -> FilePart:
    """Check that a file is UTF-8, block by block; a byte order mark at its start is left out.

    Raises ValueError where it is not, and for a byte order mark within it.
    """
    decoder, n_crlf, done, before = codecs.getincrementaldecoder("utf-8")(), 0, 0, b""
    n_chars = 0
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
    start = 3 if first.startswith(codecs.BOM_UTF8) else 0
    for block in FilePart(path, 0, size, 0, 0).raw():
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block)
        except UnicodeDecodeError as error:
            at = done - pending + error.start
            raise not_utf8(path, key, at, bytes(error.object)[error.start], first) from None
        if "\ufeff" in text[done == 0 :]:
            raise ValueError(
                f"{key}={path} holds a byte order mark within the text, as files that were put "
                "together do; remove it, for example with sed 's/\\xef\\xbb\\xbf//g'"
            )
        n_chars += len(text)
        n_crlf += block.count(b"\r\n") + (before == b"\r" and block[:1] == b"\n")
        before, done = block[-1:], done + len(block)
    if rest := decoder.getstate()[0]:
        raise not_utf8(path, key, done - len(rest), rest[0], first)
    return FilePart(path, start, size, n_crlf, n_chars - n_crlf - (start > 0))


def divided(part: FilePart, shares: Iterable[float]) -> list[FilePart]:
    """Cut a part at ascending shares of its characters, rounded down; one part more than shares."""
    n = part.n_chars
    wanted = [int(share * n + 1e-9) for share in shares]
    places: list[tuple[int, int]] = [(part.start, 0)]  # byte in the file, CRLF before it
    passed, at, n_crlf = 0, part.start, 0
    for raw in part.raw_text():
        length = len(raw) - raw.count("\r\n")
        while len(places) <= len(wanted) and wanted[len(places) - 1] <= passed + length:
            before = _beginning(raw, wanted[len(places) - 1] - passed)
            places.append((at + len(before.encode()), n_crlf + before.count("\r\n")))
        passed, at, n_crlf = passed + length, at + len(raw.encode()), n_crlf + raw.count("\r\n")
    places.append((part.end, part.n_crlf))
    return [
        FilePart(part.path, start, end, after - before, chars)
        for ((start, before), (end, after)), chars in zip(
            itertools.pairwise(places), map(operator.sub, [*wanted, n], [0, *wanted]), strict=True
        )
    ]


def _beginning(raw: str, n: int) -> str:
    """The beginning of a block that has n characters once CRLF is LF."""
    at = n
    while at < len(raw) and n - at + (found := raw.count("\r\n", 0, at)) > 0:
        at = n + found
    return raw[: at + 1] if raw[at - 1 : at + 1] == "\r\n" and at else raw[:at]
