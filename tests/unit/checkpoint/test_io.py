from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from lightning_transformer.checkpoint.io import SafeCheckpointIO

OLD, NEW = {"step": 1, "w": torch.zeros(3)}, {"step": 2, "w": torch.ones(3)}


def test_round_trip_makes_folders_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a" / "b" / "last.ckpt"
    SafeCheckpointIO().save_checkpoint(NEW, str(path))
    loaded = SafeCheckpointIO().load_checkpoint(str(path))
    assert loaded["step"] == 2
    assert torch.equal(loaded["w"], NEW["w"])
    assert os.listdir(path.parent) == ["last.ckpt"]


@pytest.mark.parametrize("point", ["save", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_save_that_breaks_leaves_the_old_file(tmp_path, monkeypatch, point, error):
    path = tmp_path / "last.ckpt"
    SafeCheckpointIO().save_checkpoint(OLD, path)
    before = path.read_bytes()

    def half(checkpoint, file):
        file.write(b"half of it")
        raise error

    def broken(*args):
        raise error

    target = {"save": (torch, "save"), "fsync": (os, "fsync"), "replace": (os, "replace")}[point]
    with monkeypatch.context() as patch:
        patch.setattr(*target, half if point == "save" else broken)
        with pytest.raises(type(error)):
            SafeCheckpointIO().save_checkpoint(NEW, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["last.ckpt"]
    SafeCheckpointIO().save_checkpoint(NEW, path)
    assert SafeCheckpointIO().load_checkpoint(path)["step"] == 2


def test_the_file_is_on_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (calls.append("fsync"), fsync(number)))
    monkeypatch.setattr(
        os,
        "replace",
        lambda source, target: (calls.append(("replace", source.parent)), replace(source, target)),
    )
    SafeCheckpointIO().save_checkpoint(NEW, tmp_path / "last.ckpt")
    # Beside its target: a rename is atomic only within one file system.
    assert calls[:2] == ["fsync", ("replace", tmp_path)]


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def test_loading_never_unpickles_code(tmp_path):
    torch.save({"a": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(pickle.UnpicklingError):
        SafeCheckpointIO().load_checkpoint(tmp_path / "evil.ckpt", weights_only=False)


def test_a_file_that_would_unfold_is_refused(tmp_path):
    torch.save({"a": torch.zeros(1000)}, tmp_path / "plain.ckpt")
    with (
        zipfile.ZipFile(tmp_path / "plain.ckpt") as plain,
        zipfile.ZipFile(tmp_path / "packed.ckpt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    SafeCheckpointIO().load_checkpoint(tmp_path / "plain.ckpt")
    with pytest.raises(ValueError, match="in it is compressed, which no checkpoint of torch is"):
        SafeCheckpointIO().load_checkpoint(tmp_path / "packed.ckpt")


def test_removing_what_is_gone_is_no_error(tmp_path):
    path = tmp_path / "last.ckpt"
    SafeCheckpointIO().save_checkpoint(NEW, path)
    for _ in range(2):
        SafeCheckpointIO().remove_checkpoint(path)
        assert not path.exists()


def test_the_digest_made_while_writing_is_that_of_the_file(tmp_path: Path) -> None:
    writer = SafeCheckpointIO()
    state = {str(i): torch.randn(300_000) for i in range(8)}  # several blocks
    writer.save_checkpoint(state, tmp_path / "state.ckpt")
    content = (tmp_path / "state.ckpt").read_bytes()
    wanted = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert writer.written == {tmp_path / "state.ckpt": wanted}
