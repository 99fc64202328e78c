"""schedule=cosine."""

from __future__ import annotations

import math

import pytest
from transformers import (
    get_cosine_schedule_with_warmup,
    get_cosine_with_min_lr_schedule_with_warmup,
)

from lightning_transformer.optim.schedule.cosine import Cosine
from tests.unit.optim.schedule.by_hand import factors, optimizer, theirs


def test_cosine_by_hand():
    half, quarter = 0.5, math.sqrt(0.5) / 2
    got = factors(Cosine(warmup_steps=2, min_ratio=0.0), 6)
    expected = [0.5, 1.0, 1.0, half + quarter, half, half - quarter]
    assert got == pytest.approx(expected, abs=1e-15)
    assert Cosine(warmup_steps=2, min_ratio=0.1)(4, 6) == pytest.approx(0.55, abs=1e-15)


@pytest.mark.parametrize(("warmup", "total"), [(0, 1), (0, 2), (3, 20), (100, 800)])
def test_cosine_is_that_of_transformers(warmup, total):
    to_zero = get_cosine_schedule_with_warmup(optimizer(), warmup, total)
    to_a_tenth = get_cosine_with_min_lr_schedule_with_warmup(
        optimizer(), warmup, total, min_lr_rate=0.1
    )
    for min_ratio, scheduler in ((0.0, to_zero), (0.1, to_a_tenth)):
        got = factors(Cosine(warmup_steps=warmup, min_ratio=min_ratio), total)
        assert got == pytest.approx(theirs(scheduler, warmup, total), abs=1e-15)
