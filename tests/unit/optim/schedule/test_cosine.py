"""schedule=cosine."""

from __future__ import annotations

import math

import pytest

from lightning_transformer.optim.schedule.cosine import Cosine
from tests.unit.optim.schedule.by_hand import factors


def test_cosine_by_hand():
    half, quarter = 0.5, math.sqrt(0.5) / 2
    got = factors(Cosine(warmup_steps=2, min_ratio=0.0), 7)
    expected = [0.5, 1.0, 1.0, half + quarter, half, half - quarter, 0.0]
    assert got == pytest.approx(expected, abs=1e-15)
    assert Cosine(warmup_steps=2, min_ratio=0.1)(4, 7) == pytest.approx(0.55, abs=1e-15)
