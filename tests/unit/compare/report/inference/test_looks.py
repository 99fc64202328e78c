"""Critical values for a test that is repeated, against scipy and by simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from lightning_transformer.compare.report.comparison import Looks
from lightning_transformer.compare.report.inference import noise
from lightning_transformer.compare.report.inference.looks import (
    SequentialSeeds,
    critical_t,
    level_of,
    spent,
)
from lightning_transformer.compare.report.inference.statistics import paired_effects
from tests.unit.compare.report.inference.simulation_looks import looks_at, spending, stopped, tables

TO_TWENTY = Looks(3, 20)


def t_values(
    generator: np.random.Generator, repeats: int, n: int, shift: float = 0.0
) -> np.ndarray:
    """t after 1, 2, .. n seeds, of differences with the standard deviation 1: (repeats, n)."""
    x = generator.standard_normal((repeats, n)) + shift
    count = np.arange(1, n + 1)
    mean = x.cumsum(1) / count
    with np.errstate(all="ignore"):
        variance = ((x**2).cumsum(1) - count * mean**2) / (count - 1)
        return np.asarray(mean / np.sqrt(variance / count))


def test_the_level_is_spent_by_and_by() -> None:
    found = [spent(TO_TWENTY, n) for n in range(1, 200)]
    assert found[:2] == [0.0, 0.0]
    assert found[19] == pytest.approx(0.9)
    assert all(b > a for a, b in itertools.pairwise(found[2:]))
    assert found[-1] < 1.0


def test_the_first_look_is_a_t_test_at_its_share() -> None:
    for level in (0.05, 0.001, 0.4):
        wanted = stats.t.isf(level * spent(TO_TWENTY, 3) / 2, 2)
        assert critical_t(TO_TWENTY, 3, level) == pytest.approx(wanted, rel=5e-3)
    five = Looks(5, 5)  # planned for five seeds, and extended afterwards
    assert critical_t(five, 5, 0.05) == pytest.approx(stats.t.isf(0.9 * 0.025, 4), rel=2e-3)


def test_p_is_the_level_that_is_critical() -> None:
    for n in (3, 7, 20, 33):
        for level in (0.5, 0.05, 1e-4):
            t = critical_t(TO_TWENTY, n, level)
            assert level_of(TO_TWENTY, n, t) == pytest.approx(level, rel=1e-6)
    source = SequentialSeeds(0.3, 7, TO_TWENTY)
    assert noise.p_value([source], source.half(0.05)) == pytest.approx(0.05)
    assert source.p(0.0) == pytest.approx(1.0)


@pytest.mark.parametrize(("looks", "last"), [(TO_TWENTY, 20), (TO_TWENTY, 40), (Looks(5, 5), 12)])
def test_any_look_errs_as_often_as_it_says(looks: Looks, last: int) -> None:
    """Exactly the part that is spent: the recursion is that of t, also after three seeds."""
    repeats = 40_000
    t = np.abs(t_values(np.random.default_rng(0), repeats, last))
    for level in (0.05, 0.2):
        bars = [critical_t(looks, n, level) for n in range(looks.first, last + 1)]
        crossed = (t[:, looks.first - 1 :] >= bars).any(axis=1).mean()
        wanted = level * spent(looks, last)
        assert crossed == pytest.approx(wanted, abs=4 * math.sqrt(wanted / repeats))


def test_it_finds_a_difference_of_one_standard_deviation() -> None:
    """19 in 20, with 11 to 12 of 20 seeds on average; five fixed seeds find 2 in 5."""
    t = np.abs(t_values(np.random.default_rng(1), 20_000, 20, shift=1.0))[:, 2:]
    bars = [critical_t(TO_TWENTY, n, 0.05) for n in range(3, 21)]
    crossed = t >= bars
    n = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 3, 20)
    assert crossed.any(axis=1).mean() == pytest.approx(0.965, abs=0.01)
    assert n.mean() == pytest.approx(11.5, abs=0.3)


@pytest.mark.parametrize("k", [2, 4, 8])
def test_a_table_errs_in_five_of_a_hundred_after_holm(k: int) -> None:
    """Variants share a baseline, and each stops when it is settled."""
    called, _ = stopped(tables(k, 0.0, 0.5, None, 4000), spending, looks_at())
    assert called.any(axis=1).mean() <= 0.05


def test_verdicts_count_the_looks() -> None:
    d = [0.4, 0.5, 0.45, 0.55, 0.48]
    (fixed,) = paired_effects([d], margin=0.1)
    (looked,) = paired_effects([d], margin=0.1, looks=TO_TWENTY)
    assert (fixed.method, looked.method) == ("paired", "sequential")
    assert looked.low < fixed.low < fixed.high < looked.high
    assert looked.p > fixed.p
    assert looked.verdict == "worse"  # t is 19, and 7.5 are asked for
    assert paired_effects([d[:3]], margin=0.1, looks=TO_TWENTY)[0].verdict == "unresolved"
    assert paired_effects([d[:3]], margin=0.1, looks=Looks(5, 20))[0].verdict == "withheld"
