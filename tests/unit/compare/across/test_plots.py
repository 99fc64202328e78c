"""Plots over several comparisons: valid specifications with the numbers of the report."""

from __future__ import annotations

import altair as alt
import pytest

from lightning_transformer.compare.across.parts import read_several
from lightning_transformer.compare.across.render.plots import all_plots
from lightning_transformer.compare.across.write import build_across
from tests.unit.compare.across.made_parts import made_ladder, made_tasks, power_law, scaled


def plots(folder):
    report = build_across(folder, read_several(folder))
    return report, all_plots(report)


def test_effects_and_losses_over_compute(tmp_path):
    base = power_law()
    made_ladder(tmp_path / "lad", {"a": base, "b": scaled(base, (0, -1, -2))})
    report, found = plots(tmp_path / "lad")
    assert list(found) == ["loss_compute", "effect_compute"]
    effects = found["effect_compute"]["datasets"]["effects"]
    assert [row["effect"] for row in effects] == [one.effect for one in report.variants[1].sizes]
    fits = found["loss_compute"]["datasets"]["fits"]
    ends = [row for row in fits if row["name"] == "b"][-1]
    assert ends["mean"] == pytest.approx(report.variants[1].sizes[-1].mean, rel=0.005)
    for plot in found.values():
        alt.LayerChart.from_dict(plot)  # raises where it is no Vega-Lite


def test_effects_and_profiles_of_tasks(tmp_path):
    made_tasks(tmp_path / "t", {"x": {"a": 2.0, "b": 1.9}, "y": {"a": 2.0, "b": 1.8}})
    report, found = plots(tmp_path / "t")
    assert list(found) == ["task_effects", "profile"]
    rows = found["task_effects"]["datasets"]["effects"]
    assert [row["task"] for row in rows] == ["x", "y", "all tasks"]
    assert rows[-1]["effect"] == report.variants[1].pooled.iqm
    for plot in found.values():
        alt.LayerChart.from_dict(plot)
