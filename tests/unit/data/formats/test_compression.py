"""Compressed files: read to the last byte, or refused."""

from __future__ import annotations

import gzip
import io
import lzma
import sys
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from lightning_transformer.data.files import read_text
from lightning_transformer.data.formats.compression import chunks, hold_at_least, suffix

TEXT = "ä line of text\n" * 1000


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/", "")
        for name in names:
            archive.writestr(name, TEXT)
    return out.getvalue()


def zstd(text: str) -> bytes:
    return pytest.importorskip("zstandard").ZstdCompressor().compress(text.encode())


PACK = {
    "f.txt": lambda: TEXT.encode(),
    "f.txt.gz": lambda: gzip.compress(TEXT.encode()),
    "f.XZ": lambda: lzma.compress(TEXT.encode()),
    "f.zip": lambda: zipped("folder/f.txt", "__MACOSX/f.txt"),
    "f.zst": lambda: zstd(TEXT),
}
# Files that were put together from compressed ones hold all of their text.
TWICE = ["f.txt.gz", "f.XZ", "f.zst"]


@pytest.mark.parametrize("name", PACK)
def test_the_same_text_however_it_is_packed(write, name):
    assert read_text(write(name, PACK[name]()), key="k") == TEXT


@pytest.mark.parametrize("name", TWICE)
def test_one_behind_another_is_read_to_the_end(write, name):
    assert read_text(write(name, PACK[name]() * 2), key="k") == TEXT * 2


@pytest.mark.parametrize("name", [*TWICE, "f.zip"])
@pytest.mark.parametrize("left", [0.3, 0.9])
def test_one_that_is_cut_is_refused(write, name, left):
    packed = PACK[name]()
    path = write(name, packed[: int(left * len(packed))])
    with pytest.raises(ValueError, match=r"data.path=.* cannot be unpacked as") as caught:
        read_text(path, key="data.path")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [*TWICE, "f.zip"])
def test_plain_text_under_its_suffix_is_refused(write, name):
    if name == "f.zst":
        pytest.importorskip("zstandard")
    with pytest.raises(ValueError, match=r"cannot be unpacked as .* name it by what it is"):
        read_text(write(name, TEXT), key="k")


def test_archives_of_several_files_are_refused(write):
    with pytest.raises(ValueError, match=r"holds 2 files and not one: a, b; unpack it"):
        read_text(write("f.zip", zipped("a", "b")), key="k")
    for name in ("f.tar.gz", "f.tgz", "f.tar"):
        with pytest.raises(ValueError, match="is an archive of several files; unpack it"):
            read_text(write(name, TEXT), key="k")


def test_a_missing_package_is_named(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ValueError, match=r"needs the package zstandard; pip install '.*\[zstd\]'"):
        read_text(write("f.zst", TEXT), key="k")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.jsonl", ".jsonl"), ("a.JSONL.gz", ".jsonl"), ("a.gz", ""), ("a", ""), ("b/a.c.xz", ".c")],
)
def test_the_suffix_of_what_is_packed(name, kind):
    assert suffix(Path(name)) == kind


@pytest.mark.parametrize("name", PACK)
def test_what_files_hold_is_counted_unpacked(write, name):
    files, size = [Path(write(name, PACK[name]())), Path(write("plain", "abc"))], len(TEXT) + 1000
    assert hold_at_least(files, size + 3)
    assert not hold_at_least(files, size + 4)
    assert not hold_at_least([], 1)


def test_a_damaged_file_is_left_to_who_reads_it(write):
    path = Path(write("f.gz", gzip.compress(TEXT.encode())[:-9]))
    assert not hold_at_least([path], 10**6)


@pytest.mark.parametrize(
    ("name", "pack"), [("f.gz", gzip.compress), ("f.xz", lzma.compress), ("f.zst", None)]
)
def test_memory_is_that_of_a_chunk(write, name, pack):
    """64 MB that pack into 20 kB or less."""
    text = bytes(1 << 26)
    pack = pack or pytest.importorskip("zstandard").ZstdCompressor().compress
    path = Path(write(name, pack(text)))
    del text
    tracemalloc.start()
    assert sum(map(len, chunks(path, key="k"))) == 1 << 26
    assert hold_at_least([path], 1 << 26)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e7
