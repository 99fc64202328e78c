"""Weights that checkpoints leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.checkpoint import store
from lightning_transformer.checkpoint.frozen import SHA256, put_back, take_out, write_frozen
from lightning_transformer.checkpoint.io import SafeCheckpointIO
from lightning_transformer.checkpoint.run_files import read_state

NAMES = ["a", "tied"]


def weights() -> dict[str, Tensor]:
    table = torch.arange(6.0)
    return {"a": table, "tied": table, "b": torch.ones(2)}


def saved(folder: Path, **more: Any) -> tuple[Path, store.Checkpoint]:
    """A checkpoint of step 1 without what is frozen, and its file."""
    place = folder / store.FOLDER
    temporary = store.begin(place, 1)
    state: dict[str, Any] = {"state_dict": weights(), **more}
    entry = write_frozen(place, take_out(state, NAMES))
    state[SHA256] = entry["sha256"]
    torch.save(state, temporary / store.STATE)
    found = store.commit(temporary, 1, metrics={}, facts={}, frozen=entry)
    return found.state, found


def test_what_is_read_is_whole(tmp_path: Path) -> None:
    now = {**weights(), "b": torch.zeros(2)}
    path, _ = saved(tmp_path, current_model_state=now, step=3)
    assert set(torch.load(path, weights_only=True)["state_dict"]) == {"b"}
    for state in (read_state(path), SafeCheckpointIO().load_checkpoint(path)):
        assert set(state) == {"state_dict", "current_model_state", "step"}
        for key, wanted in (("state_dict", weights()), ("current_model_state", now)):
            assert set(state[key]) == set(wanted)
            assert all(torch.equal(state[key][name], value) for name, value in wanted.items())
        assert state["state_dict"]["a"].data_ptr() == state["state_dict"]["tied"].data_ptr()


def test_the_manifest_names_the_file_and_its_damage_is_found(tmp_path: Path) -> None:
    path, found = saved(tmp_path)
    assert store.verify(found.path).frozen == found.frozen
    assert found.frozen["bytes"] == (found.path.parent / store.FROZEN).stat().st_size
    file = found.path.parent / store.FROZEN
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"frozen\.ckpt is damaged: its SHA-256 is not the one"):
        store.verify(found.path)
    with pytest.raises(ValueError, match=r"frozen\.ckpt is damaged: its SHA-256 .* names$"):
        read_state(path)
    file.unlink()
    with pytest.raises(ValueError, match=r"frozen\.ckpt is missing$"):
        store.verify(found.path)
    with pytest.raises(ValueError, match=r"frozen\.ckpt is missing: .* leaves out the weights"):
        read_state(path)


def test_a_whole_state_stays_as_it_is(tmp_path: Path) -> None:
    state = {"state_dict": weights()}
    assert put_back(state, tmp_path / "step-1" / store.STATE) is state


def test_what_a_crash_left_half_written_is_removed(tmp_path: Path) -> None:
    _, found = saved(tmp_path)
    half = found.path.parent / f".{store.FROZEN}.tmp-1"
    half.touch()
    store.clean(found.path.parent)
    assert not half.exists()
    assert (found.path.parent / store.FROZEN).exists()
