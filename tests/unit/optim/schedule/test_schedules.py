"""What holds for every option of conf/schedule."""

from __future__ import annotations

import inspect
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_transformer.optim.schedule.constant import Constant
from tests.conftest import options
from tests.helpers.variants import built_class
from tests.unit.optim.schedule.by_hand import factors

ALL = [built_class("schedule", name) for name in options("schedule")]


def with_option(key):
    """The schedules that have an option."""
    return [build for build in ALL if key in inspect.signature(build).parameters]


WITH_TAIL = with_option("decay_fraction")


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
    if build in with_option("min_ratio"):
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


@pytest.mark.parametrize("build", WITH_TAIL)
def test_a_decay_that_meets_the_warmup_is_refused(build):
    with pytest.raises(ValueError, match="exceed") as caught:
        build(warmup_steps=60, decay_fraction=0.5).validate(100)
    assert str(caught.value) == (
        "schedule.warmup_steps=60 and the 50 steps of schedule.decay_fraction=0.5 exceed "
        "trainer.max_steps=100; try warmup_steps=50"
    )
    build(warmup_steps=50, decay_fraction=0.5).validate(100)


OUT_OF_RANGE = {
    "warmup_steps": (-1, 2.5, True, "a"),
    "min_ratio": (-0.1, 1.1, math.nan),
    "decay_fraction": (0.0, 1.5),
    "exponent": (0.0, math.nan, "a"),
    "timescale": (0, 1.5),
}


@pytest.mark.parametrize(
    ("build", "option", "value"),
    [(b, key, v) for key, found in OUT_OF_RANGE.items() for v in found for b in with_option(key)],
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
