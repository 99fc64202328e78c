"""`lt.compare`: a table of pandas, rich output, and refusals by the names of its arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import lightning_transformer as lt
from lightning_transformer.runs.result import RESULT_FILE
from tests.unit.compare.across.made_parts import made_ladder, made_tasks, power_law, scaled
from tests.unit.compare.report.made_runs import made_sweep, make_run


def test_compare_gives_a_table_and_rich_output(short: list[str], tmp_path: Path) -> None:
    for norm in ("rmsnorm", "layernorm"):
        for seed in (1, 2):
            overrides = [*short, f"norm={norm}", f"seed={seed}"]
            lt.train(overrides, tmp_path / "norms" / f"{norm}-{seed}")
    report = lt.compare(tmp_path / "norms", baseline="norm=rmsnorm")
    table = report.to_pandas()
    assert sorted(table.index) == ["norm=layernorm", "norm=rmsnorm"]
    losses = [
        json.loads((tmp_path / "norms" / f"layernorm-{s}" / RESULT_FILE).read_text())["metrics"]
        for s in (1, 2)
    ]
    mean = sum(one["test/loss"] for one in losses) / 2
    assert table.loc["norm=layernorm", "mean"] == pytest.approx(mean, rel=1e-12)
    shown = report._repr_html_()
    assert "<table" in shown
    assert shown.count("<svg") >= 1
    assert not (tmp_path / "norms" / "report.html").exists()
    with pytest.raises(ValueError, match="no folder of runs"):
        lt.compare()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"baseline": "norm=nope"}, "baseline norm=nope is not one of"),
        ({"metric": "test/bleu"}, "metric test/bleu is in none of the runs"),
        ({"by": ("norm", "nope")}, "has no key nope; `by` takes groups and keys"),
        ({}, "the runs differ in commit: .* the option `force` compares them with a warning"),
    ],
)
def test_refusals_name_the_arguments(
    arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    made_sweep(tmp_path, {"rmsnorm": 2.0, "none": 2.5}, 2)
    if not arguments:
        make_run(tmp_path / "odd", seed=1, loss=2.0, norm="dyt", commit="f" * 40)
    with pytest.raises(ValueError, match=message) as caught:
        lt.compare(tmp_path, **arguments)
    assert "--" not in str(caught.value)


def test_force_compares_runs_of_different_code_with_a_warning(tmp_path: Path) -> None:
    made_sweep(tmp_path, {"rmsnorm": 2.0}, 1)
    make_run(tmp_path / "odd", seed=1, loss=2.0, norm="dyt", commit="f" * 40)
    report = lt.compare(tmp_path, force=True)
    assert any("The runs differ in commit" in warning for warning in report.warnings)


def test_a_metric_of_unknown_direction_needs_better(tmp_path: Path) -> None:
    metrics = {"metrics": {"test/loss": 2.0, "test/score": 1.0}}
    for norm in ("dyt", "none"):
        make_run(tmp_path / norm, seed=1, loss=2.0, norm=norm, **metrics)
    with pytest.raises(ValueError, match="metric test/score needs the option `better`"):
        lt.compare(tmp_path, metric="test/score")
    assert lt.compare(tmp_path, metric="test/score", better="higher").better == "higher"


def test_a_ladder_and_several_tasks_have_one_report_each(tmp_path: Path) -> None:
    laws = {"a": power_law(), "grower": scaled(power_law(), (0, -1, -2))}
    made_ladder(tmp_path / "lad", laws)
    report = lt.compare(tmp_path / "lad")
    table = report.to_pandas()
    assert table.index.names == ["variant", "size"]
    grower = report.variants[1]
    effects = table.loc[grower.variant, "effect"]
    assert effects.tolist() == [one.effect for one in grower.sizes]
    assert effects.iloc[-1] == pytest.approx(-2, abs=0.2)
    shown = report._repr_html_()
    assert shown.count("<svg") == 2
    assert "grows" in shown

    means = {"x": {"a": 2.0, "b": 1.9}, "y": {"a": 1.0, "b": 0.9}}
    made_tasks(tmp_path / "tasks", means, noise=0.002)
    report = lt.compare(tmp_path / "tasks")
    table = report.to_pandas()
    assert table.index.names == ["variant", "task"]
    assert table.loc[(report.variants[1].variant, "y"), "effect"] == pytest.approx(10, abs=0.5)
    assert "P(better)" in report._repr_html_()
