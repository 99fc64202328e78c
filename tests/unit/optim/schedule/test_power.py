"""schedule=power."""

from __future__ import annotations

import pytest

from lightning_transformer.optim.schedule.power import Power
from tests.unit.optim.schedule.by_hand import factors


def test_power_by_hand():
    got = factors(Power(warmup_steps=2, exponent=-1.0, decay_fraction=0.4, min_ratio=0.1), 10)
    # 2/s up to s = 7, from there in four equal steps to 1/10, which the end of step 10 reaches
    down = [2 / 7 - (2 / 7 - 0.1) * i / 4 for i in (1, 2, 3)]
    assert got == pytest.approx([0.5, 1, 2 / 3, 2 / 4, 2 / 5, 2 / 6, 2 / 7, *down], abs=1e-15)


def test_power_is_the_papers_rate_before_the_decay():
    """lr = a * batch * tokens ** b for any length of the run, so it can be gone on with."""
    a, b, batch, warmup = 4.0, -0.51, 64, 100
    rate = [a * batch * (batch * s) ** b for s in range(1, 901)]
    peak = a * batch * (batch * warmup) ** b
    for total in (1000, 2000):
        schedule = Power(warmup_steps=warmup)
        for s in (100, 101, 500, 900):
            assert peak * schedule(s - 1, total) == pytest.approx(rate[s - 1], rel=1e-12)


def test_power_refuses_a_decay_that_would_rise():
    with pytest.raises(ValueError, match=r"^schedule\.min_ratio=0\.9 is above 0\.286") as caught:
        Power(warmup_steps=2, exponent=-1.0, decay_fraction=0.4, min_ratio=0.9).validate(10)
    assert "\n" not in str(caught.value)


def test_power_needs_a_warmup():
    with pytest.raises(ValueError, match=r"^schedule\.warmup_steps=0 .*for example"):
        Power(warmup_steps=0)
