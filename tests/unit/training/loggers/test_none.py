"""logger=none."""

from __future__ import annotations

from pathlib import Path

from lightning_transformer.training.loggers.none import none


def test_it_logs_nowhere(tmp_path: Path) -> None:
    assert none(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
