"""Compressed files, by suffix: .gz, .xz, .zst, and .zip with one file in it."""

import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

CHUNK = 1 << 20
SLICE = 1 << 7
# What files start with, and the suffix by which they are understood.
MAGIC = {
    b"\x1f\x8b": ".gz",
    b"\xfd7zXZ\x00": ".xz",
    b"\x28\xb5\x2f\xfd": ".zst",
    b"PK\x03\x04": ".zip",
    b"PAR1": ".parquet",
    b"ARROW1": ".arrow",
    b"\x93NUMPY": ".npy",
}


def _read(stream: IO[bytes]) -> Iterator[bytes]:
    with stream:
        yield from iter(partial(stream.read, CHUNK), b"")


def _plain(file: Path) -> Iterator[bytes]:
    return _read(file.open("rb"))


def _gzip(file: Path) -> Iterator[bytes]:
    return _read(gzip.open(file))  # type: ignore[arg-type]


def _xz(file: Path) -> Iterator[bytes]:
    return _read(lzma.open(file))


def _zstd(file: Path) -> Iterator[bytes]:
    try:
        import zstandard
    except ModuleNotFoundError:
        raise ValueError(
            "reading .zst needs the package zstandard; pip install 'lightning-transformer[zstd]', "
            "or unpack the file"
        ) from None
    # Frame by frame: the library's own reader ends silently behind the first, and where one is cut.
    frame, begun = zstandard.ZstdDecompressor().decompressobj(), False
    # In short slices: a block of 4 bytes may stand for 128 kB, and all of them come at once.
    for chunk in (part[i : i + SLICE] for part in _plain(file) for i in range(0, len(part), SLICE)):
        while chunk:
            begun = True
            try:
                unpacked = frame.decompress(chunk)
            except zstandard.ZstdError as error:
                raise EOFError(str(error)) from None
            yield unpacked
            chunk = b""
            if frame.eof:
                chunk, begun = frame.unused_data, False
                frame = zstandard.ZstdDecompressor().decompressobj()
    if begun:
        raise EOFError("it ends within a frame")


def _zip(file: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        names = [name for name in names if not name.startswith("__MACOSX/")]
        if len(names) != 1:
            raise ValueError(
                f"{file} holds {len(names)} files and not one: {', '.join(names[:5]) or 'none'}; "
                "unpack it, and give a pattern such as folder/*"
            )
        yield from _read(archive.open(names[0]))


OPENERS: dict[str, Callable[[Path], Iterator[bytes]]] = {
    ".gz": _gzip,
    ".xz": _xz,
    ".zst": _zstd,
    ".zip": _zip,
}


def suffix(path: Path | str) -> str:
    """The suffix in lower case of what a file holds: .jsonl of a.jsonl as of a.jsonl.GZ."""
    path = Path(path)
    outer = path.suffix.lower()
    return Path(path.stem).suffix.lower() if outer in OPENERS else outer


def is_compressed(path: Path | str) -> bool:
    """Whether the suffix is that of a compressed file."""
    return Path(path).suffix.lower() in OPENERS


def chunks(file: Path, *, key: str) -> Iterator[bytes]:
    """Yield the bytes of a file in chunks, unpacked where its suffix says that it is compressed.

    key: the setting that named it. Raises ValueError for a file that is damaged or not of its
    suffix, for an archive of several files, and where .zst needs a package that is missing.
    """
    kind = file.suffix.lower()
    if suffix(file) == ".tar" or kind in (".tgz", ".txz"):
        raise ValueError(
            f"{key}={file} is an archive of several files; unpack it, and give a pattern such as "
            "folder/*"
        )
    try:
        yield from OPENERS.get(kind, _plain)(file)
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile) as error:
        raise _damaged(file, key, error) from None
    except (RuntimeError, NotImplementedError) as error:  # zip: a password, an unknown method
        raise _damaged(file, key, error) from None


def hold_at_least(files: Iterable[Path], size: int) -> bool:
    """Whether files have so many bytes together, once they are unpacked; no more are read.

    A file that cannot be unpacked counts no further: reading it says what is wrong.
    """
    for file in files:
        try:
            for chunk in chunks(file, key="") if is_compressed(file) else ():
                size -= len(chunk)
                if size <= 0:
                    return True
        except ValueError:
            pass
        size -= 0 if is_compressed(file) else file.stat().st_size
    return size <= 0


def _damaged(file: Path, key: str, error: Any) -> ValueError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return ValueError(
        f"{key}={file} cannot be unpacked as {file.suffix} ({reason}); pack it again, or name it "
        "by what it is"
    )


def misnamed(first: bytes) -> str | None:
    """The suffix that the first bytes of a file ask for; None where they say nothing."""
    return next((kind for magic, kind in MAGIC.items() if first.startswith(magic)), None)
