"""Reports of run folders in which nothing differs err as seldom as they say."""

from __future__ import annotations

import math

import pytest

from tests.unit.compare.report.simulation_folders import CASES, rates

TABLES = 120


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("5 seeds, k = 4", marks=pytest.mark.slow),
        pytest.param("3 to 12 seeds, k = 2", marks=pytest.mark.thorough),
        pytest.param("5 seeds, k = 4, documents of icc .1", marks=pytest.mark.thorough),
    ],
)
def test_a_report_errs_in_five_of_a_hundred(name: str) -> None:
    """Within three standard errors; docs/design/statistics.md has tables of many more."""
    case = CASES[name]
    wrong, held = rates(case, TABLES)
    assert wrong <= 0.055 + 3 * math.sqrt(0.055 * 0.945 / TABLES)
    # Intervals of one table share its baseline: its own number is what is sure to be independent.
    assert held >= 0.94 - 3 * math.sqrt(0.06 * 0.94 / TABLES)
