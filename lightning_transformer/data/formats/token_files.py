"""Files of token ids: .npy, and .bin with the header of llm.c or of a stated type."""

from pathlib import Path

import numpy as np

from lightning_transformer.data.files import check_file
from lightning_transformer.data.formats.compression import is_compressed, suffix

HEADER = 256  # int32: what it is, its version, the number of tokens
# The first number of a header and its version, and the type of the tokens behind it.
KINDS = {(20240520, 1): "uint16", (20240801, 7): "uint32"}
TYPES = ("uint8", "uint16", "uint32", "int32", "int64")


def token_file(path: str, *, key: str, dtype: str | None = None) -> np.ndarray:
    """Map the ids (n,) of a file into memory.

    .npy: one row of integers. .bin: the header of llm.c, 256 int32 that begin with 20240520, 1, n
    (uint16 tokens) or 20240801, 7, n (uint32 tokens); or none, where dtype says what tokens are.
    Raises ValueError for a file of another form, and where dtype contradicts it.
    """
    file = check_file(path, key)
    if is_compressed(path):
        raise ValueError(f"{key}={path}: token ids are read where they lie; unpack the file")
    if suffix(path) == ".npy":
        tokens = _npy(file, path, key)
    elif suffix(path) == ".bin":
        tokens = _bin(file, path, key, dtype)
    else:
        raise ValueError(f"{key}={path}: unknown kind of file {suffix(path)!r}; use .npy or .bin")
    if dtype is not None and tokens.dtype != np.dtype(dtype):
        raise ValueError(
            f"{key}={path} holds {tokens.dtype} and not data.dtype={dtype}; leave it out"
        )
    return tokens


def check_dtype(dtype: str | None) -> None:
    """Raise ValueError unless tokens can be of a type."""
    if dtype is not None and dtype not in TYPES:
        raise ValueError(
            f"data.dtype={dtype} must be null or one of {', '.join(TYPES)}, for example uint16"
        )


def _npy(file: Path, path: str, key: str) -> np.ndarray:
    try:
        tokens = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ValueError(
            f"{key}={path} is no readable .npy file ({reason}); save it again"
        ) from None
    if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
        raise ValueError(
            f"{key}={path} holds {tokens.dtype} of shape {tokens.shape}; save one row of integers, "
            "for example np.save(path, ids.ravel().astype('uint16'))"
        )
    return tokens


def _bin(file: Path, path: str, key: str, dtype: str | None) -> np.ndarray:
    size = file.stat().st_size
    with file.open("rb") as start:
        header = np.frombuffer(start.read(4 * HEADER)[: size // 4 * 4], dtype="<i4")
    kind = KINDS.get((int(header[0]), int(header[1]))) if len(header) == HEADER else None
    if kind is None:
        if dtype is None:
            raise ValueError(
                f"{key}={path} has no header that says what it holds; state the type of its "
                "tokens, for example data.dtype=uint16, or use .npy"
            )
        kind, offset, n = dtype, 0, size // np.dtype(dtype).itemsize
    else:
        offset, n = 4 * HEADER, int(header[2])
    found = (size - offset) / np.dtype(kind).itemsize
    if found != n:
        raise ValueError(
            f"{key}={path} has {size:,} bytes, which are {found:,} tokens and not {n:,}; "
            "write it again"
        )
    if not n:
        return np.zeros(0, dtype=kind)
    order = np.dtype(kind).newbyteorder("<")
    return np.memmap(file, dtype=order, mode="r", offset=offset, shape=(n,))
