"""Checkpoints as folders in which each process writes its part, and back to one file.

    __0_0.distcp ...   tensors, in torch's distributed format (DCP)
    .metadata          which part of which tensor lies where
    rest.pt            everything else, with the names of the tensors in their places

The contents are those of an ordinary checkpoint. Nothing here unpickles code:
torch itself would, in `.metadata`.
"""

import os
import pickle
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata
from torch.distributed.tensor import DTensor

from lightning_transformer.runs.untrusted import check_archive

METADATA, REST = ".metadata", "rest.pt"
_PARTS = ("state_dict", "optimizer_states")  # what is cut; the rest is small
_SHARD = re.compile(r"__\d+_\d+\.distcp\Z")
_MARK = "tensor:"

Like = Callable[[str, torch.Size, torch.dtype], Tensor]


def is_sharded(path: Path) -> bool:
    """Whether a checkpoint is such a folder."""
    return path.is_dir()


def save_sharded(checkpoint: dict[str, Any], folder: Path) -> None:
    """Write a checkpoint whose tensors may be DTensors; to be called on every process."""
    tensors: dict[str, Tensor] = {}
    rest = {
        key: _extract_tensors(value, key, tensors) if key in _PARTS else value
        for key, value in checkpoint.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    with _without_warning():
        writer = dcp.FileSystemWriter(folder)
        dcp.save(tensors, storage_writer=writer, no_dist=not dist.is_initialized())
    if not dist.is_initialized() or dist.get_rank() == 0:
        with (folder / REST).open("wb") as file:
            torch.save(rest, file)
            file.flush()
            os.fsync(file.fileno())


def load_sharded(folder: Path, like: Like | None = None) -> dict[str, Any]:
    """Read a checkpoint: full tensors on the CPU, or such as like(name, shape, dtype) gives.

    With like, every process has to call it. Raises ValueError for a damaged or foreign folder.
    """
    check_archive(folder / REST)
    rest = torch.load(folder / REST, map_location="cpu", weights_only=True)
    stored = read_metadata(folder)
    make = like or (lambda name, shape, dtype: torch.empty(shape, dtype=dtype))
    tensors = {
        name: make(name, entry.size, entry.properties.dtype)
        for name, entry in stored.state_dict_metadata.items()
        if isinstance(entry, TensorStorageMetadata)
    }
    alone = like is None or not dist.is_initialized()
    try:
        with _without_warning():
            dcp.load(tensors, storage_reader=_Reader(folder), no_dist=alone)
    except CheckpointException as error:  # derives from BaseException only
        first = str(next(iter(error.failures.values()), error)).splitlines()[0]
        raise ValueError(f"{folder} cannot be read ({first})") from None
    return {
        key: _insert_tensors(value, tensors) if key in _PARTS else value
        for key, value in rest.items()
    }


def consolidate(folder: Path, file: Path) -> None:
    """Write the checkpoint in a folder of shards as one file; one process does it."""
    torch.save(load_sharded(folder), file)


def split_up(file: Path, folder: Path) -> None:
    """Write a checkpoint of one file as a folder of shards; one process does it."""
    save_sharded(torch.load(file, map_location="cpu", weights_only=True), folder)


def read_metadata(folder: Path) -> Metadata:
    """Which tensors a folder holds; builds nothing but DCP's own records.

    Raises ValueError for anything else, and for parts that lie outside the folder.
    """
    try:
        with (folder / METADATA).open("rb") as file:
            found = _Records(file).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"{folder / METADATA} cannot be read ({error})") from None
    if not isinstance(found, Metadata):
        raise ValueError(f"{folder / METADATA} does not describe a checkpoint")
    for place in (found.storage_data or {}).values():
        if not _SHARD.match(place.relative_path) or getattr(place, "transform_descriptors", None):
            raise ValueError(f"{folder / METADATA} names {place.relative_path}, no part of it")
    return found


@contextmanager
def _without_warning() -> Iterator[None]:
    """Within, DCP does not warn that there is only one process, which is intended here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.distributed is disabled.*")
        yield


class _Reader(dcp.FileSystemReader):
    """DCP's, which would unpickle whatever `.metadata` holds."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        found = read_metadata(self.folder)
        if found.storage_meta is not None:
            found.storage_meta.load_id = self.load_id
        return found


class _Records(pickle.Unpickler):
    """Builds plain values and the records of DCP; refuses any other name."""

    _allowed = frozenset(
        [("torch.distributed.checkpoint.metadata", name) for name in (
            "Metadata", "MetadataIndex", "TensorStorageMetadata", "BytesStorageMetadata",
            "ChunkStorageMetadata", "TensorProperties", "StorageMeta", "_MEM_FORMAT_ENCODING",
        )]
        + [
            ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
            ("torch", "Size"),
            ("torch.serialization", "_get_layout"),
            ("collections", "OrderedDict"),
        ]
    )  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "pathlib" and name in (
            "PosixPath",
            "PurePosixPath",
            "WindowsPath",
        ):
            return PurePosixPath  # where it was written, which is not used
        is_dtype = module == "torch" and isinstance(getattr(torch, name, None), torch.dtype)
        if not is_dtype and (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}; nothing in it was run")
        return super().find_class(module, name)


def _extract_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """The value with each tensor replaced by its name, under which it is in tensors."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return _MARK + name
    if isinstance(value, dict):
        return {
            key: _extract_tensors(item, f"{name}/{key}", tensors) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(_extract_tensors(v, f"{name}/{i}", tensors) for i, v in enumerate(value))
    return value


def _insert_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, str) and value.startswith(_MARK):
        name = value.removeprefix(_MARK)
        if name not in tensors:
            raise ValueError(f"the checkpoint lacks {name}")
        return tensors[name]
    if isinstance(value, dict):
        return {key: _insert_tensors(item, tensors) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_insert_tensors(item, tensors) for item in value)
    return value


def empty_like(own: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor to read into that lies on the processes as `own` does."""
    if isinstance(own, DTensor):
        return torch.empty_like(own.detach(), dtype=dtype)
    return torch.empty(own.shape, dtype=dtype)
