"""schedule=constant."""

from __future__ import annotations

from lightning_transformer.optim.schedule.constant import Constant
from tests.unit.optim.schedule.by_hand import factors


def test_constant_by_hand():
    assert factors(Constant(warmup_steps=4), 6) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert factors(Constant(warmup_steps=0), 3) == [1.0, 1.0, 1.0]
    assert factors(Constant(warmup=0.5), 4) == [0.5, 1.0, 1.0, 1.0]
