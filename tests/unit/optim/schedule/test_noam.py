"""schedule=noam."""

from __future__ import annotations

import pytest

from lightning_transformer.optim.schedule.noam import Noam
from tests.unit.optim.schedule.by_hand import factors


def test_noam_by_hand():
    got = factors(Noam(warmup_steps=4), 16)
    assert got[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=1e-15)
    assert got[8] == pytest.approx(2 / 3, abs=1e-15)  # sqrt(4 / 9)
    assert got[15] == pytest.approx(0.5, abs=1e-15)


def test_noam_is_the_papers_rate():
    warmup, d_model = 4000, 512
    schedule, lr = Noam(warmup_steps=warmup), (d_model * warmup) ** -0.5
    for step in (1, 100, 3999, 4000, 4001, 100_000):
        paper = d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
        assert lr * schedule(step - 1, 10**6) == pytest.approx(paper, rel=1e-12)


def test_noam_needs_a_warmup():
    with pytest.raises(ValueError, match=r"^schedule\.warmup_steps=0 .*for example"):
        Noam(warmup_steps=0)
