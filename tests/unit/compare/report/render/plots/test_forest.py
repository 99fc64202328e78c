"""The words beside the effects."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lightning_transformer.compare.report.render.plots.forest import label


@pytest.mark.parametrize(
    ("p", "words"), [(0.02, "differs"), (0.2, "not significant"), (None, "not significant")]
)
def test_the_plot_does_not_deny_a_difference_that_the_table_names(p, words):
    row = SimpleNamespace(verdict="unresolved", effect=SimpleNamespace(p_holm=p))
    assert label(row) == words
