"""The cache."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from lightning_transformer.data.cache import cache_folder, cached


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path))
    return tmp_path / "lightning_transformer"


def test_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache_folder() == Path("/a/lightning_transformer")
    monkeypatch.delenv("LIGHTNING_TRANSFORMER_CACHE")
    assert cache_folder() == Path("/b/lightning_transformer")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "lightning_transformer"


def test_computes_once_per_key(folder):
    calls = []

    def compute():
        calls.append(1)
        return {"é": [1, "two"]}

    assert cached("name", "k1", compute) == cached("name", "k1", compute) == {"é": [1, "two"]}
    assert len(calls) == 1
    cached("name", "k2", compute)
    cached("other", "k1", compute)
    assert len(calls) == 3
    assert len(list(folder.iterdir())) == 3


def test_a_damaged_file_is_computed_again(folder, caplog):
    cached("name", "k", lambda: [1])
    (folder / "name-k.json").write_text("[1")
    with caplog.at_level(logging.INFO):
        assert cached("name", "k", lambda: [2]) == [2]
    assert "computing it again" in caplog.text
    assert cached("name", "k", lambda: [3]) == [2]


def test_an_unwritable_folder_costs_one_line(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.INFO):
        assert cached("name", "k", lambda: [1]) == [1]
    assert "going on without it" in caplog.text
