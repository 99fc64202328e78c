"""schedule=inverse_sqrt."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import get_inverse_sqrt_schedule

from lightning_transformer.optim.schedule.inverse_sqrt import InverseSqrt
from lightning_transformer.optim.schedule.noam import Noam
from tests.unit.optim.schedule.by_hand import factors


def test_inverse_sqrt_by_hand():
    got = factors(InverseSqrt(warmup_steps=2, timescale=3), 12)
    assert got[:2] == [0.5, 1.0]
    assert got[10] == pytest.approx(0.5, abs=1e-15)  # nine steps after the peak, sqrt(3 / 12)
    assert factors(InverseSqrt(warmup_steps=0, timescale=3), 2) == [1.0, math.sqrt(3 / 4)]


def test_inverse_sqrt_is_that_of_transformers():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = get_inverse_sqrt_schedule(optimizer, num_warmup_steps=5, timescale=20)
    schedule = InverseSqrt(warmup_steps=5, timescale=20)
    for step in range(1, 50):  # they count from 0 with lr 0
        assert schedule(step - 1, 50) == pytest.approx(theirs.lr_lambdas[0](step), abs=1e-15)


def test_inverse_sqrt_on_the_warmups_time_scale_is_noam():
    one, other = InverseSqrt(warmup_steps=7, timescale=7), Noam(warmup_steps=7)
    assert factors(one, 100) == pytest.approx(factors(other, 100), abs=1e-15)
