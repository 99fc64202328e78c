"""Files of token ids."""

from __future__ import annotations

import io

import numpy as np
import pytest

from lightning_transformer.data.formats.token_files import check_dtype, token_file

IDS = np.arange(1000) * 7 % 300


def npy(ids: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, ids)
    return out.getvalue()


def with_header(ids: np.ndarray, magic: int, version: int, n: int | None = None) -> bytes:
    header = np.zeros(256, dtype="<i4")
    header[:3] = magic, version, len(ids) if n is None else n
    return header.tobytes() + ids.tobytes()


FILES = {
    "f.npy": npy(IDS),
    "u8.npy": npy((IDS % 256).astype("uint8")),
    "llmc.bin": with_header(IDS.astype("<u2"), 20240520, 1),
    "wide.bin": with_header(IDS.astype("<u4"), 20240801, 7),
}


@pytest.mark.parametrize("name", FILES)
def test_ids_are_mapped_into_memory(write, name):
    found = token_file(write(name, FILES[name]), key="k")
    assert isinstance(found, np.memmap)
    assert np.array_equal(found, IDS % 256 if name == "u8.npy" else IDS)


def test_a_file_without_a_header_needs_its_type(write):
    path = write("raw.bin", IDS.astype("<u2").tobytes())
    with pytest.raises(ValueError, match=r"raw.bin has no header .* data.dtype=uint16"):
        token_file(path, key="data.path")
    assert np.array_equal(token_file(path, key="data.path", dtype="uint16"), IDS)
    assert len(token_file(write("e.bin", b""), key="data.path", dtype="uint16")) == 0


@pytest.mark.parametrize(
    ("name", "content", "dtype", "match"),
    [
        ("f.bin", with_header(IDS.astype("<u2"), 20240520, 1, 999), None, "1,000.0 tokens and not"),
        ("f.bin", FILES["llmc.bin"][:-1], None, "999.5 tokens and not 1,000; write it again"),
        ("f.bin", b"abc", "uint16", "1.5 tokens and not 1"),
        ("f.bin", FILES["llmc.bin"], "uint32", "holds uint16 and not data.dtype=uint32; leave it"),
        ("f.npy", FILES["f.npy"][:100], None, "is no readable .npy file"),
        ("f.npy", b"text", None, "is no readable .npy file"),
        ("f.npy", npy(np.zeros((2, 3), int)), None, r"holds int64 of shape \(2, 3\); save one row"),
        ("f.npy", npy(np.zeros(3)), None, r"holds float64 of shape \(3,\); save one row"),
        ("f.npy", npy(np.array([{}, {}])), None, "is no readable .npy file"),
        ("f.txt", b"1 2", None, "unknown kind of file '.txt'; use .npy or .bin"),
        ("f.npy.gz", b"", None, "unpack the file"),
    ],
)
def test_what_is_not_of_its_form_is_refused(write, name, content, dtype, match):
    with pytest.raises(ValueError, match=match) as caught:
        token_file(write(name, content), key="data.path", dtype=dtype)
    assert "\n" not in str(caught.value)


def test_types():
    check_dtype(None)
    with pytest.raises(ValueError, match=r"data.dtype=float must be null or one of uint8, uint16"):
        check_dtype("float")
