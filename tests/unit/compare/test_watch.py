"""The table of a comparison that runs, from what is in its folder."""

from __future__ import annotations

import pytest

from lightning_transformer.compare import watch
from lightning_transformer.compare.across.parts import Part, Several
from lightning_transformer.compare.report.comparison import (
    Comparison,
    EarlyStop,
    FailedJob,
    RateSearch,
)
from lightning_transformer.runs.result import RunResult


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Give `sweep(name, status, loss)`, which leaves a run in outputs/sweeps/try."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    folder = tmp_path / "outputs" / "sweeps" / "try"

    def leave(name, status, loss, steps=None):
        place = folder / name
        place.mkdir(parents=True)
        metrics = {"val/loss": loss, "test/loss": loss + 1} if status == "finished" else {}
        RunResult(status=status, metrics=metrics, steps=steps).write(place)
        (place / "metrics.csv").write_text(f"step,train/loss,val/loss\n1,5.0,\n40,,{loss}\n")

    leave.folder = folder
    return leave


def rows(capsys):
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_the_best_variant_stands_first(sweep, capsys):
    for seed, loss in ((1, 2.0), (2, 2.2)):
        sweep(f"norm=a,seed={seed}", "finished", loss, 80)
        sweep(f"norm=b,seed={seed}", "finished", loss - 1, 80)
    assert watch.main(["try", "--once"]) == 0
    _, first, second, last = rows(capsys)
    assert first[:6] == ["norm=b", "2/2", "80", "1.1000", "0.1414", "2.1000"]
    assert second[:6] == ["norm=a", "2/2", "80", "2.1000", "0.1414", "3.1000"]
    assert " ".join(last) == "4 of 4 started runs finished"


def test_a_run_on_its_way_shows_its_newest_loss_and_step(sweep, capsys):
    sweep("norm=a,seed=1", "running", 2.5)
    assert watch.main(["try", "--once"]) == 0
    _, row, _ = rows(capsys)
    assert row[:5] == ["norm=a", "0/1", "40", "2.5000", "-"]


def test_comparison_json_adds_rates_stops_and_failures(sweep, capsys):
    sweep("norm=a,seed=1", "finished", 2.0, 80)
    sweep("norm=a,init_seed=1000001,seed=1", "finished", 2.1, 80)
    sweep("norm=b,seed=1", "stopped", 3.0, 30)
    sweep("screening/norm=a,optimizer.lr=0.1", "finished", 9.0, 20)
    Comparison(
        by=["norm"],
        seeds=[1, 2],
        lr=RateSearch(
            chosen={"norm=a": 0.1},
            screening={"norm=a": {}, "norm=c": {}},
            runs={"norm=a": {"0.2": [2.5, None], "0.1": [2.25, 2.5]}, "norm=c": {}},
            rule={"norm=a": "the best"},
        ),
        placebo="placebo",
        stopped={"norm=b": EarlyStop(30, "worse")},
        failures=[FailedJob("norm=b,seed=2", "out of memory", 2)],
        stage="runs",
    ).write(sweep.folder)
    assert watch.main(["try", "--once"]) == 0
    shown = rows(capsys)
    found = {row[0]: row for row in shown if row}
    assert found["norm=a"][1:] == ["1/2", "80", "2.0000", "3.0000", "0.1"]
    assert found["placebo"][1] == "1/2"
    assert " ".join(found["norm=b"][-4:]) == "stopped at step 30"
    assert found["norm=c"][1:] == ["0/2", "-", "-", "-", "-"]
    assert " ".join(found["failed"]) == "failed norm=b,seed=2: out of memory"
    output = [" ".join(row) for row in shown]
    tried = "0.1 2.2500/2.5000, 0.2 2.5000/diverged"
    assert f"lr norm=a: {tried}; chosen 0.1, the best" in output
    assert "lr norm=c: none tried yet" in output
    end = "stage runs, 2 of 3 started runs finished, 1 screening runs started"
    assert " ".join(found["stage"]) == end


def test_it_ends_when_the_comparison_is_done(sweep, capsys):
    sweep("norm=a,seed=1", "finished", 2.0, 80)
    Comparison(stage="done").write(sweep.folder)
    assert watch.main(["try", "--every", "0"]) == 0
    assert "norm=a" in capsys.readouterr().out


def test_a_comparison_of_another_shape_is_one_line(sweep, capsys):
    sweep("norm=a,seed=1", "finished", 2.0)
    (sweep.folder / "comparison.json").write_text('{"schema": 1, "name": 3}')
    assert watch.main(["try", "--once"]) == 2
    error = (
        "error: outputs/sweeps/try/comparison.json: name=3 must be text; run the comparison again\n"
    )
    assert capsys.readouterr().err == error


def test_a_name_that_is_not_there_is_one_line(sweep, capsys):
    sweep("norm=a,seed=1", "finished", 2.0)
    assert watch.main(["other", "--once"]) == 2
    error = "error: outputs/sweeps/other does not exist; there are try\n"
    assert capsys.readouterr().err == error


def test_of_several_comparisons_each_that_has_begun_is_shown(sweep, capsys):
    parts = [Part(f"rung{i}", []) for i in (1, 2, 3)]
    for i, loss in ((1, 3.0), (2, 2.0)):
        sweep(f"rung{i}/norm=a,seed=1", "finished", loss, 80)
        Comparison(by=["norm"], seeds=[1], stage="done").write(sweep.folder / f"rung{i}")
    Several("ladder", "try", parts).write(sweep.folder)
    assert watch.main(["try", "--once"]) == 0
    found = rows(capsys)
    assert [row[0] for row in found if row and row[0].startswith("rung")] == ["rung1", "rung2"]
    assert [row[3] for row in found if row and row[0] == "norm=a"] == ["3.0000", "2.0000"]
    assert not watch._is_done(sweep.folder)
    Comparison(by=["norm"], seeds=[1], stage="done").write(_made(sweep.folder / "rung3"))
    assert watch._is_done(sweep.folder)


def _made(folder):
    folder.mkdir()
    return folder
