"""Reading the text files of users, with errors that say how to fix them."""

import codecs
import difflib
import glob
import itertools
from collections.abc import Iterator
from pathlib import Path

from lightning_transformer.data.formats.compression import chunks, misnamed


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


def pieces(path: str, *, key: str) -> Iterator[str]:
    """Yield the text of a UTF-8 file in pieces of about a million characters.

    Byte order marks are dropped, also those within a file that was put together from others; CRLF
    becomes LF. Compressed files are unpacked, see `formats.compression`.
    Raises ValueError when it is missing, not a file, or not UTF-8 (never silently replaced).
    """
    file = check_file(path, key)
    decoder = codecs.getincrementaldecoder("utf-8")()
    start, held, first = 0, "", b""
    for chunk in itertools.chain(chunks(file, key=key), [b""]):
        first = first or chunk[:8]
        pending = decoder.getstate()[0]
        try:
            text = held + decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            at = start - len(pending) + error.start
            raise not_utf8(path, key, at, error.object[error.start], first) from None
        start += len(chunk)
        held = "\r" if chunk and text.endswith("\r") else ""
        text = text.removesuffix(held) if held else text
        text = text.replace("\r\n", "\n").replace("\ufeff", "")
        if text:
            yield text


def not_utf8(path: object, key: str, at: int, byte: int, first: bytes) -> ValueError:
    """The error for a file with this byte at this place. first: its first bytes, which may tell."""
    kind = misnamed(first)
    if kind is not None:
        return ValueError(
            f"{key}={path} is no text but a {kind} file by its content; rename it to {path}{kind}"
        )
    return ValueError(
        f"{key}={path} is not UTF-8 at byte {at} (0x{byte:02x}); "
        "convert it, for example with iconv -t UTF-8"
    )


def lines(path: str, *, key: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 file without their ends, which are LF or CRLF alone.

    A last line that is empty is none. Raises ValueError as `pieces` does.
    """
    rest = ""
    for piece in pieces(path, key=key):
        if "\n" not in piece:
            rest += piece
            continue
        first, *found = piece.split("\n")
        yield rest + first
        rest = found.pop()
        yield from found
    if rest:
        yield rest


def read_text(path: str, *, key: str) -> str:
    """Read a UTF-8 file as a whole; see `pieces`."""
    return "".join(pieces(path, key=key))


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
