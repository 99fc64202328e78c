import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_inverse_sqrt_schedule

from lightning_transformer.optim.schedule.constant import Constant
from lightning_transformer.optim.schedule.cosine import Cosine
from lightning_transformer.optim.schedule.inverse_sqrt import InverseSqrt
from lightning_transformer.optim.schedule.linear import Linear
from lightning_transformer.optim.schedule.noam import Noam
from lightning_transformer.optim.schedule.one_minus_sqrt import OneMinusSqrt
from lightning_transformer.optim.schedule.power import Power
from lightning_transformer.optim.schedule.wsd import WSD

ALL = [Constant, Cosine, InverseSqrt, Linear, Noam, OneMinusSqrt, Power, WSD]
WITH_TAIL = (OneMinusSqrt, Power, WSD)


def factors(schedule, total_steps: int) -> list[float]:
    return [schedule(step, total_steps) for step in range(total_steps)]


def test_constant_by_hand():
    assert factors(Constant(warmup_steps=4), 6) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert factors(Constant(warmup_steps=0), 3) == [1.0, 1.0, 1.0]


def test_linear_by_hand():
    got = factors(Linear(warmup_steps=2, min_ratio=0.2), 7)
    assert got == pytest.approx([0.5, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2], abs=1e-15)


def test_cosine_by_hand():
    half, quarter = 0.5, math.sqrt(0.5) / 2
    got = factors(Cosine(warmup_steps=2, min_ratio=0.0), 7)
    expected = [0.5, 1.0, 1.0, half + quarter, half, half - quarter, 0.0]
    assert got == pytest.approx(expected, abs=1e-15)
    assert Cosine(warmup_steps=2, min_ratio=0.1)(4, 7) == pytest.approx(0.55, abs=1e-15)


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


def test_wsd_by_hand():
    got = factors(WSD(warmup_steps=2, decay_fraction=0.4, min_ratio=0.2), 10)
    assert got == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2], abs=1e-15)


def test_wsd_that_decays_all_the_way():
    got = factors(WSD(warmup_steps=0, decay_fraction=1.0, min_ratio=0.0), 4)
    assert got == pytest.approx([0.75, 0.5, 0.25, 0.0], abs=1e-15)


@given(st.data())
def test_every_schedule_rises_to_one_then_never_rises(data):
    build = data.draw(st.sampled_from(ALL))
    total = data.draw(st.integers(2, 300))
    schedule = build(warmup_steps=data.draw(st.integers(1, total - 1)))
    try:
        schedule.validate(total)
    except ValueError:
        assert build in WITH_TAIL  # only there can the decay meet the warm-up
        return
    got = factors(schedule, total)
    warmup = schedule.warmup_steps
    assert got[:warmup] == [(k + 1) / warmup for k in range(warmup)] or warmup == total - 1
    assert max(got) <= 1.0
    assert all(a >= b for a, b in zip(got[warmup - 1 :], got[warmup:], strict=False))
    if build in (Cosine, Linear, *WITH_TAIL):
        assert got[-1] == schedule.min_ratio  # exactly
        assert schedule(total, total) == schedule.min_ratio  # torch asks one step beyond
        assert schedule(total + 10, total) == schedule.min_ratio


@pytest.mark.parametrize("build", ALL)
def test_a_warmup_that_takes_the_whole_run_is_refused(build):
    with pytest.raises(ValueError, match=r"schedule\.warmup_steps=2000") as caught:
        build(warmup_steps=2000).validate(1000)
    assert str(caught.value) == (
        "schedule.warmup_steps=2000 must be below trainer.max_steps=1000; try 100"
    )
    with pytest.raises(ValueError, match=r"must be below trainer\.max_steps=1000"):
        build(warmup_steps=1000).validate(1000)
    build(warmup_steps=100).validate(1000)


def test_one_minus_sqrt_by_hand():
    got = factors(OneMinusSqrt(warmup_steps=2, decay_fraction=0.4, min_ratio=0.2), 10)
    tail = [0.2 + 0.8 * (1 - math.sqrt(u)) for u in (0.25, 0.5, 0.75)]
    assert got == pytest.approx([0.5, 1, 1, 1, 1, 1, *tail, 0.2], abs=1e-15)
    assert got[6] == pytest.approx(0.6, abs=1e-15)  # sqrt(1 / 4)


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


def test_power_by_hand():
    got = factors(Power(warmup_steps=2, exponent=-1.0, decay_fraction=0.4, min_ratio=0.1), 10)
    # 2/s up to s = 6, then in four equal steps from 1/3 to 1/10
    down = [1 / 3 - (1 / 3 - 0.1) * i / 4 for i in (1, 2, 3, 4)]
    assert got == pytest.approx([0.5, 1, 2 / 3, 2 / 4, 2 / 5, 2 / 6, *down], abs=1e-15)


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
    with pytest.raises(ValueError, match=r"^schedule\.min_ratio=0\.9 is above 0\.333") as caught:
        Power(warmup_steps=2, exponent=-1.0, decay_fraction=0.4, min_ratio=0.9).validate(10)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("build", WITH_TAIL)
def test_a_decay_that_meets_the_warmup_is_refused(build):
    with pytest.raises(ValueError, match="exceed") as caught:
        build(warmup_steps=60, decay_fraction=0.5).validate(100)
    assert str(caught.value) == (
        "schedule.warmup_steps=60 and the 50 steps of schedule.decay_fraction=0.5 exceed "
        "trainer.max_steps=100; try warmup_steps=50"
    )
    build(warmup_steps=50, decay_fraction=0.5).validate(100)


@pytest.mark.parametrize(
    ("build", "option", "value"),
    [
        *[(build, "warmup_steps", value) for build in ALL for value in (-1, 2.5, True, "a")],
        (Noam, "warmup_steps", 0),
        (Linear, "min_ratio", -0.1),
        (Cosine, "min_ratio", 1.1),
        (Power, "warmup_steps", 0),
        (Power, "exponent", 0.0),
        (Power, "exponent", math.nan),
        (Power, "exponent", "a"),
        (InverseSqrt, "timescale", 0),
        (InverseSqrt, "timescale", 1.5),
        *[(build, "min_ratio", math.nan) for build in WITH_TAIL],
        *[(build, "decay_fraction", value) for build in WITH_TAIL for value in (0.0, 1.5)],
    ],
)
def test_options_out_of_range_are_refused_in_one_line(build, option, value):
    with pytest.raises(ValueError, match=f"^schedule.{option}=") as caught:
        build(**{option: value})
    message = str(caught.value)
    assert repr(value) in message
    assert "for example" in message
    assert "\n" not in message


@pytest.mark.parametrize("total_steps", [0, -1])
def test_a_run_needs_a_step(total_steps):
    with pytest.raises(ValueError, match=r"trainer\.max_steps=.* at least 1"):
        Constant(warmup_steps=0).validate(total_steps)
