"""schedule=linear."""

from __future__ import annotations

import pytest
from transformers import get_linear_schedule_with_warmup

from lightning_transformer.optim.schedule.linear import Linear
from tests.unit.optim.schedule.by_hand import factors, optimizer, theirs


def test_linear_by_hand():
    got = factors(Linear(warmup_steps=2, min_ratio=0.2), 6)
    assert got == pytest.approx([0.5, 1.0, 1.0, 0.8, 0.6, 0.4], abs=1e-15)


@pytest.mark.parametrize(("warmup", "total"), [(0, 1), (0, 2), (3, 20), (100, 800)])
def test_linear_is_that_of_transformers(warmup, total):
    scheduler = get_linear_schedule_with_warmup(optimizer(), warmup, total)
    got = factors(Linear(warmup_steps=warmup), total)
    assert got == pytest.approx(theirs(scheduler, warmup, total), abs=1e-15)
