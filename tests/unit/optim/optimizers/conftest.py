"""What the tests of optimizers share."""

from __future__ import annotations

import pytest

from lightning_transformer.hardware import processor


@pytest.fixture
def in_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Iterations in bfloat16, as torch's Muon has them, on processors too that imitate it."""
    monkeypatch.setattr(processor, "has_bf16", lambda: True)
