"""schedule=linear."""

from __future__ import annotations

import pytest

from lightning_transformer.optim.schedule.linear import Linear
from tests.unit.optim.schedule.by_hand import factors


def test_linear_by_hand():
    got = factors(Linear(warmup_steps=2, min_ratio=0.2), 7)
    assert got == pytest.approx([0.5, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2], abs=1e-15)
