"""Checkpoints in shards: to one file and back, and nothing foreign is run. Two processes write and
read them in tests/contracts/test_parity.py."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint.metadata import Metadata

from lightning_transformer.checkpoint.sharded import (
    METADATA,
    consolidate,
    load_sharded,
    read_metadata,
    save_sharded,
    split_up,
)
from tests.conftest import noise

STATE = {
    "state_dict": {"a.weight": noise(4, 3), "b": noise(2).float(), "n": torch.tensor(7)},
    "optimizer_states": [
        {
            "state": {0: {"step": torch.tensor(3.0), "exp_avg": noise(4, 3, seed=1)}},
            "param_groups": [{"lr": 0.1, "betas": (0.9, 0.95), "name": "decay", "params": [0, 1]}],
        }
    ],
    "global_step": 3,
    "callbacks": {"MetricLogger": {"seconds": 1.5, "tensor": torch.arange(3)}},
}


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def test_what_is_written_is_read(tmp_path: Path) -> None:
    save_sharded(STATE, tmp_path / "shards")
    found = load_sharded(tmp_path / "shards")
    assert same(found, STATE)
    assert type(found["optimizer_states"][0]["param_groups"][0]["betas"]) is tuple


def test_to_one_file_and_back(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "one.ckpt")
    split_up(tmp_path / "one.ckpt", tmp_path / "shards")
    consolidate(tmp_path / "shards", tmp_path / "again.ckpt")
    assert same(torch.load(tmp_path / "again.ckpt", weights_only=True), STATE)


class Runs:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def hostile(mark: Path) -> dict[str, bytes]:
    def getattr_call() -> bytes:
        return pickle.dumps(Metadata({}, planner_data=[Runs(mark)]))

    return {
        "bare": pickle.dumps(Runs(mark)),
        "in metadata": getattr_call(),
        "by name": f"cos\nmkdir\n(V{mark}\ntR.".encode(),
        "through torch": f"ctorch\nload\n(V{mark}\ntR.".encode(),
        "through builtins": b"cbuiltins\neval\n(V1+1\ntR.",
        "an attribute": b"\x80\x04\x8c\x05torch\x8c\x10serialization.os\x93.",
    }


@pytest.mark.parametrize("kind", list(hostile(Path("x"))))
def test_nothing_in_metadata_is_run(tmp_path: Path, kind: str) -> None:
    save_sharded(STATE, tmp_path / "shards")
    (tmp_path / "shards" / METADATA).write_bytes(hostile(tmp_path / "mark")[kind])
    with pytest.raises(ValueError, match="nothing in it was run"):
        load_sharded(tmp_path / "shards")
    assert not (tmp_path / "mark").exists()


def test_the_hostile_ones_would_run_elsewhere(tmp_path: Path) -> None:
    for number, kind in enumerate(("bare", "in metadata", "by name")):
        pickle.loads(hostile(tmp_path / f"mark{number}")[kind])
        assert (tmp_path / f"mark{number}").exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x04", b"\x80\x04N.", b"\x80\x04}."])
def test_damaged_metadata_is_one_line(tmp_path: Path, content: bytes) -> None:
    save_sharded(STATE, tmp_path / "shards")
    (tmp_path / "shards" / METADATA).write_bytes(content)
    with pytest.raises(ValueError, match="metadata") as caught:
        load_sharded(tmp_path / "shards")
    assert "\n" not in str(caught.value)


def test_parts_outside_the_folder_are_refused(tmp_path: Path) -> None:
    save_sharded(STATE, tmp_path / "shards")
    found = read_metadata(tmp_path / "shards")
    next(iter(found.storage_data.values())).relative_path = "../other/__0_0.distcp"
    (tmp_path / "shards" / METADATA).write_bytes(pickle.dumps(found))
    with pytest.raises(ValueError, match="no part of it"):
        load_sharded(tmp_path / "shards")


def test_a_missing_part_is_one_line_and_no_base_exception(tmp_path: Path) -> None:
    save_sharded(STATE, tmp_path / "shards")
    (tmp_path / "shards" / "__0_0.distcp").unlink()
    with pytest.raises(ValueError, match="cannot be read") as caught:
        load_sharded(tmp_path / "shards")
    assert "\n" not in str(caught.value)
