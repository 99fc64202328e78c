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
TO_ZERO = {"min_ratio": 0.0}


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
    assert got[:warmup] == [(k + 1) / warmup for k in range(warmup)]
    assert max(got) <= 1.0
    assert all(a >= b for a, b in zip(got[warmup - 1 :], got[warmup:], strict=False))
    if build in with_option("min_ratio"):
        assert got[-1] > schedule.min_ratio
        assert schedule(total, total) == schedule.min_ratio  # torch asks one step beyond
        assert schedule(total + 10, total) == schedule.min_ratio


@pytest.mark.parametrize("build", ALL)
def test_every_step_of_a_run_of_any_length_trains(build):
    """With the defaults, and where the decay ends at 0: the last step is the smallest."""
    to_zero = build(**(TO_ZERO if build in with_option("min_ratio") else {}))
    for schedule in (build(), to_zero):
        for total in (*range(1, 201), 10**6):
            schedule.validate(total)
            steps = range(total) if total < 1000 else (0, total // 8, total // 2, total - 1)
            got = [schedule(step, total) for step in steps]
            assert min(got) > 0
            assert max(got) == 1 or total >= 1000
    assert build()(0, 1) == 1  # all that a run of one step has


@pytest.mark.parametrize("build", ALL)
def test_a_share_of_the_run_is_the_warmup_as_its_number_of_steps_is(build):
    for share, total, n_steps in ((0.125, 800, 100), (0.3, 10, 3), (0.125, 20, 2), (0.5, 2, 1)):
        assert build(warmup=share).n_warmup_steps(total) == n_steps
        in_steps = build(warmup=share, warmup_steps=n_steps)
        assert factors(build(warmup=share), total) == factors(in_steps, total)
    for total in (1, 2, 3):  # too short for a share of it
        assert build().n_warmup_steps(total) == build.least_warmup


def test_without_warmup_the_first_step_has_the_peak():
    assert factors(Constant(warmup=0), 3) == factors(Constant(warmup_steps=0), 3) == [1, 1, 1]


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


@pytest.mark.parametrize("build", ALL)
@pytest.mark.parametrize("total", [1, 2, 6])
def test_the_warmup_that_a_refusal_proposes_is_accepted(build, total):
    with pytest.raises(ValueError, match=r"must be below") as caught:
        build(warmup_steps=total).validate(total)
    proposed = str(caught.value).rpartition("try ")[2]
    build(warmup_steps=None if proposed == "null" else int(proposed)).validate(total)


@pytest.mark.parametrize("build", WITH_TAIL)
def test_a_decay_that_meets_the_warmup_is_refused(build):
    with pytest.raises(ValueError, match="exceed") as caught:
        build(warmup_steps=60, decay_fraction=0.5).validate(100)
    assert str(caught.value) == (
        "schedule.warmup_steps=60 and the 50 steps of schedule.decay_fraction=0.5 exceed "
        "trainer.max_steps=100; try schedule.warmup_steps=50"
    )
    build(warmup_steps=50, decay_fraction=0.5).validate(100)
    with pytest.raises(ValueError, match="exceed") as caught:
        build(warmup_steps=60, decay_fraction=1.0).validate(100)
    key, _, value = str(caught.value).rpartition("try schedule.")[2].partition("=")
    proposed = {"warmup_steps": 60, "decay_fraction": 1.0, key: float(value)}
    build(**proposed | {"warmup_steps": int(proposed["warmup_steps"])}).validate(100)


@pytest.mark.parametrize("build", WITH_TAIL)
def test_shares_of_warmup_and_decay_that_exceed_the_run_are_refused(build):
    with pytest.raises(ValueError, match="together above 1") as caught:
        build(warmup=0.5, decay_fraction=0.7).validate(100)
    assert str(caught.value) == (
        "schedule.warmup=0.5 and schedule.decay_fraction=0.7 are together above 1; "
        "try schedule.warmup=0.3"
    )
    for total in range(1, 50):  # rounding both up makes no step too many
        exact = build(warmup=0.3, decay_fraction=0.7)
        exact.validate(total)
        assert min(factors(exact, total)) > 0


OUT_OF_RANGE = {
    "warmup": (-0.1, 1.0, 20, math.nan, "a"),
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


def test_a_number_of_steps_as_a_share_is_answered_with_the_key_for_steps():
    with pytest.raises(ValueError, match=r"a number of steps is schedule\.warmup_steps$"):
        Constant(warmup=20)


@pytest.mark.parametrize("total_steps", [0, -1])
def test_a_run_needs_a_step(total_steps):
    with pytest.raises(ValueError, match=r"trainer\.max_steps=.* at least 1"):
        Constant(warmup_steps=0).validate(total_steps)
