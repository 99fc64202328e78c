"""The overrides of a run that takes a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

SHORT = (
    "data=text", "data.seq_len=16", "data.batch_size=4", "data.num_workers=0", "trainer=cpu",
    "model.d_model=32", "model.n_layers=1", "trainer.max_steps=2", "trainer.val_every=2",
    "callbacks=none", "logger=none", "schedule.warmup_steps=0",
)  # fmt: skip


@pytest.fixture
def short(tmp_path: Path) -> list[str]:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat, and the dog lay beside it\n" * 40, encoding="utf-8")
    return [*SHORT, f"data.path={text}"]
