"""Rows of Parquet and Arrow files, by the library pyarrow."""

from collections.abc import Iterator, Sequence
from typing import Any

from lightning_transformer.data.files import check_file
from lightning_transformer.data.formats.compression import is_compressed
from lightning_transformer.data.formats.json_rows import Row

BATCH = 4096  # rows in memory at a time


def _library(path: str) -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise ValueError(
            f"reading {path} needs the package pyarrow; "
            "pip install 'lightning-transformer[parquet]', or write it as .jsonl"
        ) from None
    return pyarrow


def _open(path: str, key: str) -> Any:
    if is_compressed(path):
        raise ValueError(
            f"{key}={path}: this format is compressed inside and read from many places; unpack it"
        )
    return check_file(path, key)


def parquet(path: str, keys: Sequence[str], *, key: str) -> Iterator[Row]:
    """Yield the number, from 1, and the values of `keys` of each row; a.b is a field of a struct.

    Raises ValueError for a file that is damaged, and for columns that are missing or there twice.
    """
    file, pa = _open(path, key), _library(path)
    try:
        with pa.parquet.ParquetFile(file) as table:
            tops = [_column(path, table.schema_arrow, name) for name in keys]
            batches = table.iter_batches(batch_size=BATCH, columns=sorted(set(tops)))
            yield from _rows(batches, tops, keys)
    except pa.ArrowInvalid as error:
        raise _damaged(path, key, "Parquet", error) from None


def arrow(path: str, keys: Sequence[str], *, key: str) -> Iterator[Row]:
    """Yield the same of an Arrow file, in the form of a file (Feather 2) or of a stream.

    Hugging Face `datasets` keeps streams.
    """
    file, pa = _open(path, key), _library(path)
    try:
        with pa.memory_map(str(file)) as source:
            yield from _rows_of_arrow(pa, source, path, keys)
    except pa.ArrowInvalid as error:
        raise _damaged(path, key, "Arrow", error) from None


def _rows_of_arrow(pa: Any, source: Any, path: str, keys: Sequence[str]) -> Iterator[Row]:
    is_file = source.read(6) == b"ARROW1"
    source.seek(0)
    reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
    tops = [_column(path, reader.schema, name) for name in keys]
    batches = (
        (reader.get_batch(i) for i in range(reader.num_record_batches)) if is_file else iter(reader)
    )
    yield from _rows((b.select(sorted(set(tops))) for b in batches), tops, keys)


def _damaged(path: str, key: str, kind: str, error: Exception) -> ValueError:
    reason = " ".join(str(error).split())[:120]
    return ValueError(f"{key}={path} is no readable {kind} file ({reason}); write it again")


def _column(path: str, schema: Any, name: str) -> str:
    """The column that holds a key: its own, or that of the part before a dot."""
    names = schema.names
    parts = name.split(".")
    tops = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    top = next((top for top in tops if top in names), None)
    if top is None:
        raise ValueError(f"{path}: no column {name!r}; found: {', '.join(names) or 'no columns'}")
    if names.count(top) > 1:
        raise ValueError(
            f"{path}: {names.count(top)} columns are called {top!r}; write it again with one"
        )
    kind = schema.field(top).type
    for part in name[len(top) + 1 :].split(".") if name != top else []:
        fields = [kind.field(i).name for i in range(getattr(kind, "num_fields", 0))]
        if part not in fields:
            raise ValueError(
                f"{path}: no key {part!r} in column {top!r}; found: "
                f"{', '.join(fields) or 'no keys'}"
            )
        kind = kind.field(fields.index(part)).type
    return top


def _rows(batches: Iterator[Any], tops: Sequence[str], keys: Sequence[str]) -> Iterator[Row]:
    number = 0
    paths = [name[len(top) + 1 :] for top, name in zip(tops, keys, strict=True)]
    for batch in batches:
        columns = [batch.column(batch.schema.names.index(top)).to_pylist() for top in tops]
        for values in zip(*columns, strict=True):
            number += 1
            yield number, tuple(map(_inner, values, paths))


def _inner(value: Any, path: str) -> Any:
    for part in path.split(".") if path else ():
        value = None if value is None else value[part]
    return value
