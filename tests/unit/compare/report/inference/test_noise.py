"""The interval that holds several sources of error, against scipy and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lightning_transformer.compare.report.inference import noise
from lightning_transformer.compare.report.inference.noise import Student
from lightning_transformer.compare.report.inference.statistics import paired_effects


def test_one_source_is_its_own_interval() -> None:
    source = Student("seeds", 0.3, 4)
    assert noise.half([source], 0.05) == pytest.approx(0.3 * stats.t.ppf(0.975, 4))
    assert noise.p_value([source], 0.7) == pytest.approx(2 * stats.t.sf(0.7 / 0.3, 4))
    normal = Student("documents", 0.3, math.inf)
    assert normal.half(0.05) == pytest.approx(0.3 * 1.959964, rel=1e-6)
    assert normal.p(0.3 * 1.959964) == pytest.approx(0.05, rel=1e-6)
    assert normal.detectable(0.05) == pytest.approx(0.3 * (1.959964 + 0.841621), rel=1e-5)


def test_p_is_the_level_at_which_the_interval_ends() -> None:
    sources = [Student("seeds", 0.3, 4), Student("documents", 0.2, 11)]
    for level in (0.8, 0.05, 1e-4):
        assert noise.p_value(sources, noise.half(sources, level)) == pytest.approx(level, rel=1e-6)
    assert noise.p_value(sources, 0.0) == 1.0
    assert noise.p_value(sources, 1e9) == noise.SMALLEST_P


def test_a_source_without_error_changes_nothing() -> None:
    seeds, none = Student("seeds", 0.3, 4), Student("documents", 0.0, 3)
    for distance in (0.1, 0.5, 2.0):
        both = noise.p_value([seeds, none], distance)
        assert both == pytest.approx(noise.p_value([seeds], distance), rel=1e-6)


@pytest.mark.parametrize(("share", "df"), [(0.2, 3), (1.0, 3), (1.0, 20), (3.0, 3), (3.0, 20)])
def test_the_interval_holds_the_truth_nineteen_times_in_twenty(share: float, df: int) -> None:
    """share: the standard error of the documents over that of five seeds."""
    generator, n, repeats = np.random.default_rng(0), 5, 4000
    d = generator.standard_normal((repeats, n))
    error = share / math.sqrt(n)
    shift = error * generator.standard_normal(repeats)
    found = error * np.sqrt(generator.chisquare(df, repeats) / df)
    covered = []
    for x, moved, se in zip(d, shift, found, strict=True):
        more = [[Student("documents", float(se), df)]]
        (effect,) = paired_effects([x + moved], margin=0.0, sources=more)
        assert effect.noise["documents"] == se
        covered.append(effect.low <= 0 <= effect.high)
    # Three standard errors of 4,000 tables are 0.0103; too wide where both have few freedoms.
    assert np.mean(covered) >= 0.95 - 0.0104
