"""schedule=one_minus_sqrt."""

from __future__ import annotations

import math

import pytest
from transformers import get_wsd_schedule

from lightning_transformer.optim.schedule.one_minus_sqrt import OneMinusSqrt
from tests.unit.optim.schedule.by_hand import factors, optimizer, theirs


def test_one_minus_sqrt_by_hand():
    got = factors(OneMinusSqrt(warmup_steps=2, decay_fraction=0.4, min_ratio=0.2), 10)
    tail = [0.2 + 0.8 * (1 - math.sqrt(u)) for u in (0.25, 0.5, 0.75)]
    assert got == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, *tail], abs=1e-15)
    assert got[7] == pytest.approx(0.6, abs=1e-15)  # sqrt(1 / 4)


def test_one_minus_sqrt_is_that_of_transformers():
    scheduler = get_wsd_schedule(optimizer(), 5, 10, 50, decay_type="1-sqrt")
    got = factors(OneMinusSqrt(warmup_steps=5, decay_fraction=0.2), 50)
    assert got == pytest.approx(theirs(scheduler, 5, 50), abs=1e-15)
