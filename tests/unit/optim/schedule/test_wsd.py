"""schedule=wsd."""

from __future__ import annotations

import pytest
from transformers import get_wsd_schedule

from lightning_transformer.optim.schedule.wsd import WSD
from tests.unit.optim.schedule.by_hand import factors, optimizer, theirs


def test_wsd_by_hand():
    got = factors(WSD(warmup_steps=2, decay_fraction=0.4, min_ratio=0.2), 10)
    assert got == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4], abs=1e-15)


def test_wsd_that_decays_all_the_way():
    got = factors(WSD(warmup_steps=0, decay_fraction=1.0, min_ratio=0.0), 4)
    assert got == pytest.approx([1.0, 0.75, 0.5, 0.25], abs=1e-15)


def test_wsd_is_that_of_transformers():
    scheduler = get_wsd_schedule(optimizer(), 5, 10, 50, decay_type="linear")
    got = factors(WSD(warmup_steps=5, decay_fraction=0.2), 50)
    assert got == pytest.approx(theirs(scheduler, 5, 50), abs=1e-15)
