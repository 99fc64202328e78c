"""Rows of data sets of the Hugging Face hub, or saved to a folder, by the library datasets."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lightning_transformer.data.formats.json_rows import Row, pick
from lightning_transformer.data.store.streamed_rows import read_rows, streamed_file

SAVED = ("dataset_dict.json", "state.json")  # what save_to_disk leaves in a folder


def _library(path: str) -> Any:
    try:
        import datasets
    except ModuleNotFoundError:
        raise ValueError(
            f"reading {path} needs the package datasets; "
            "pip install 'lightning-transformer[hub]', or give a file of yours"
        ) from None
    return datasets


def parts(path: str) -> tuple[str, str | None, str | None]:
    """The name of a data set, its configuration and its split in NAME[@CONFIGURATION][:SPLIT]."""
    if Path(path).expanduser().exists():
        return path, None, None
    name, _, split = path.rpartition(":")
    if not name:
        name, split = split, ""
    if not Path(name).expanduser().exists():
        name, _, configuration = name.partition("@")
        return name, configuration or None, split or None
    return name, None, split or None


def hub(path: str, keys: Sequence[str], *, key: str) -> Iterator[Row]:
    """Yield the number, from 1, and the values of `keys` of each row; classes by their names.

    path: NAME[@CONFIGURATION][:SPLIT], such as glue@sst2:validation; split train by default. NAME
    is one of the hub or a folder that `save_to_disk` wrote.
    Raises ValueError where it cannot be read.
    """
    library = _library(path)
    rows = _opened(library, path, key, streaming=False)
    for number, row in enumerate(_named(library, rows), start=1):
        yield pick(path, number, row, keys)


def hub_stream(path: str, keys: Sequence[str], *, key: str) -> Iterator[Row]:
    """Yield the same of a data set that the library does not store, see `stream`."""
    for number, row in enumerate(read_rows(stream(path, key)), start=1):
        yield pick(path, number, row, keys)


@cache
def stream(path: str, key: str) -> Path:
    """The file of the rows that the network gives, which a process reads once."""
    library = _library(path)

    def rows() -> Iterator[dict[str, Any]]:
        found = _opened(library, path, key, streaming=True)
        try:
            yield from _named(library, found)
        except Exception as error:  # the library raises many kinds
            raise ValueError(
                f"{key}={path} broke off ({_in_short(error)}); start again, or use data.format=hub"
            ) from None

    return streamed_file(path, rows)


@cache
def stored_files(path: str, key: str) -> list[Path]:
    """The files of a data set: those of the folder, or what the library keeps of the hub."""
    rows = _opened(_library(path), path, key, streaming=False)
    return sorted({Path(file["filename"]) for file in rows.cache_files})


def _opened(library: Any, path: str, key: str, streaming: bool) -> Any:
    name, configuration, split = parts(path)
    split = split or "train"
    try:
        return _open(library, name, configuration, split, streaming)
    except Exception as error:  # the library raises many kinds
        raise ValueError(
            f"{key}={path} cannot be read ({_in_short(error)}); give NAME, NAME:SPLIT, "
            "NAME@CONFIGURATION or a folder of save_to_disk, for example stanfordnlp/imdb:test"
        ) from None


def _in_short(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def _open(library: Any, name: str, configuration: str | None, split: str, streaming: bool) -> Any:
    folder = Path(name).expanduser()
    if not any((folder / file).exists() for file in SAVED):
        return library.load_dataset(name, configuration, split=split, streaming=streaming)
    found = library.load_from_disk(str(folder))
    if isinstance(found, library.DatasetDict):
        if split not in found:
            raise ValueError(f"no split {split}; found: {', '.join(found)}")
        found = found[split]
    return found.to_iterable_dataset() if streaming else found


def _named(library: Any, rows: Any) -> Iterator[dict[str, Any]]:
    """The rows, with the names of classes instead of their numbers."""
    kinds = rows.features or {}
    classes = {name: kind for name, kind in kinds.items() if isinstance(kind, library.ClassLabel)}
    for row in rows:
        for name, kind in classes.items():
            number = row[name]
            # -1 stands for no label in test splits of the hub.
            row[name] = kind.int2str(number) if number is not None and number >= 0 else None
        yield row
