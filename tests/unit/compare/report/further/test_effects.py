"""What was measured after the runs is shown with its effect and decides nothing."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from lightning_transformer.compare.report.paper.long_csv import long_csv
from lightning_transformer.compare.report.write import Wanted, build_report, write
from lightning_transformer.runs.evaluations import evaluated_metrics
from tests.unit.compare.report.made_runs import made_sweep

NAME = "eval[data.seq_len=256]/loss"


def leave(run: Path, loss: float | None, *, split: str = "test", **changed: object) -> None:
    """An evaluation as the command leaves it."""
    content = {"schema": 1, "run": str(run), "checkpoint": "best", "split": split}
    content |= {"overrides": ["data.seq_len=256"], "metrics": {f"{split}/loss": loss}}
    place = run / "evaluations" / f"{split}.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps(content | changed), encoding="utf-8")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two variants by three seeds, of which one run cannot be measured at greater length."""
    folder = tmp_path / "norms"
    made_sweep(folder, {"none": 2.0, "rmsnorm": 2.5, "dyt": 2.2}, 3)
    for seed, (base, other) in enumerate([(3.0, 2.0), (3.1, 2.2), (3.3, 2.1)], start=1):
        leave(folder / f"norm=none,seed={seed}", base)
        leave(folder / f"norm=rmsnorm,seed={seed}", other)
        leave(folder / f"norm=dyt,seed={seed}", None, metrics={}, error="ends at 128")
    return folder


def test_the_effect_is_a_paired_t_interval_by_itself(sweep: Path) -> None:
    wanted = Wanted(baseline="norm=none")
    report = build_report([sweep], wanted)
    (metric,) = report.further
    assert metric.metric == NAME
    base, *others = metric.rows
    assert (base.variant, base.mean, base.delta) == ("norm=none", pytest.approx(9.4 / 3), None)
    rows = {row.variant: row for row in others}
    differences = np.array([-1.0, -0.9, -1.2])
    low, high = stats.t.interval(0.95, 2, differences.mean(), stats.sem(differences))
    found = rows["norm=rmsnorm"]
    assert found.n == 3
    assert (found.delta, found.low, found.high) == pytest.approx((differences.mean(), low, high))
    assert rows["norm=dyt"].mean is None
    assert rows["norm=dyt"].delta is None


def test_the_verdicts_do_not_change(sweep: Path) -> None:
    report = build_report([sweep])
    for run in sweep.iterdir():
        for file in run.glob("evaluations/*.json"):
            file.unlink()
    without = build_report([sweep])
    assert [row.effect for row in report.variants] == [row.effect for row in without.variants]
    assert [row.verdict for row in report.variants] == [row.verdict for row in without.variants]
    assert without.further == []


def test_it_is_in_every_form_of_the_report(sweep: Path) -> None:
    shown = io.StringIO()
    write([sweep], console=Console(file=shown, width=200))
    texts = [
        shown.getvalue(),
        (sweep / "report.md").read_text(),
        (sweep / "report.html").read_text(),
    ]
    for text in texts:
        assert NAME in text
        assert "2.1000" in text  # the mean of 2.0, 2.2 and 2.1
    assert all("not adjusted" in text for text in texts[1:])
    rows = list(csv.DictReader((sweep / "report.csv").open(encoding="utf-8")))
    assert {row[NAME] for row in rows if row["variant"] == "norm=rmsnorm"} == {"2.0", "2.2", "2.1"}
    assert NAME in long_csv(build_report([sweep]))


def test_it_can_be_what_is_compared(sweep: Path) -> None:
    report = build_report([sweep], Wanted(metric=NAME, baseline="norm=none"))
    rows = {row.variant: row for row in report.variants}
    assert rows["norm=rmsnorm"].verdict == "better"
    assert report.further == []


def test_names_say_what_was_changed(tmp_path: Path) -> None:
    leave(tmp_path, 1.0, split="val", checkpoint="last")
    leave(tmp_path, 2.0)
    leave(tmp_path, 3.0, split="train", overrides=[])
    (tmp_path / "evaluations" / "other.json").write_text("[]", encoding="utf-8")
    assert evaluated_metrics(tmp_path) == {
        "eval[data.seq_len=256]/loss": 2.0,
        "eval[split=train]/loss": 3.0,
        "eval[split=val data.seq_len=256 checkpoint=last]/loss": 1.0,
    }
    leave(tmp_path, 3.0, overrides=[])  # the run's own test, again
    assert "eval[]/loss" not in evaluated_metrics(tmp_path)
