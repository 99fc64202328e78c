"""Shared by the tests of data: a cache folder and files of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests away from the user's cache; what takes seconds is computed once a session."""
    patch = pytest.MonkeyPatch()
    patch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str | bytes], str]:
    """Give `write(name, content)`, which writes into the working folder and returns the name."""
    monkeypatch.chdir(tmp_path)

    def writer(name: str, content: str | bytes) -> str:
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(data)
        return name

    return writer
