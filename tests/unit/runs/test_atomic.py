"""Files that are written completely or not at all."""

from __future__ import annotations

import os

import pytest

from lightning_transformer.runs.atomic import atomic_path, write_atomically


def test_write_replaces_and_leaves_nothing_else(tmp_path):
    for text in ("one\n", "zwei é\n", "two\r\nlines\n"):
        write_atomically(tmp_path / "f.json", text)
        assert (tmp_path / "f.json").read_bytes() == text.encode()
    write_atomically(tmp_path / "f.json", b"\x00\xff")
    assert (tmp_path / "f.json").read_bytes() == b"\x00\xff"
    assert os.listdir(tmp_path) == ["f.json"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch, call):
    write_atomically(tmp_path / "f.json", "old")

    def fail(*args):
        raise OSError("disk is gone")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="disk is gone"):
        write_atomically(tmp_path / "f.json", "new")
    assert os.listdir(tmp_path) == ["f.json"]
    assert (tmp_path / "f.json").read_text() == "old"


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_file_has_the_mode_of_its_neighbours(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with atomic_path(tmp_path / "f") as temporary:
            temporary.unlink(missing_ok=True)
            os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))  # as safetensors does
    finally:
        os.umask(before)
    assert (tmp_path / "f").stat().st_mode & 0o777 == mode


def test_a_block_that_raises_keeps_the_old_file(tmp_path):
    write_atomically(tmp_path / "f", "old")

    def interrupted() -> None:
        with atomic_path(tmp_path / "f") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.listdir(tmp_path) == ["f"]
    assert (tmp_path / "f").read_text() == "old"


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (calls.append("fsync"), fsync(number)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    with atomic_path(tmp_path / "f") as temporary:
        assert temporary.parent == tmp_path  # a rename is atomic within one file system only
        temporary.write_text("new")
        assert not (tmp_path / "f").exists()
    assert calls == ["fsync", "replace", "fsync"]  # the file, then its name, then the folder


def test_two_writers_of_one_file_do_not_share_a_temporary_file(tmp_path):
    with atomic_path(tmp_path / "f") as one, atomic_path(tmp_path / "f") as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert os.listdir(tmp_path) == ["f"]
    assert (tmp_path / "f").read_text() == "one"  # the block that ends last
