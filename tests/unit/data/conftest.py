"""Shared by the tests of data: a cache folder of their own, and tiny records."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests away from the user's cache; what takes seconds is computed once a session."""
    patch = pytest.MonkeyPatch()
    patch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()
