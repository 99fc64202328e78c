"""debug=lr_find: the learning-rate range test."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.runs.result import read_history
from lightning_transformer.training.debug.lr_finder import (
    CURVE_FILE,
    TEXT_FILE,
    LRFinder,
    conclusions,
    diverged,
)
from tests.helpers.short_runs import short_run

TARGET = "+callbacks.lr_finder._target_=lightning_transformer.training.debug.lr_finder.LRFinder"


def find(folder: Path, *options: str) -> Any:
    typed = ("trainer.max_steps=16", "trainer.val_every=16", TARGET)
    return short_run(folder, *typed, *options)


def test_rates_rise_exponentially_whatever_the_schedule_says(tmp_path: Path) -> None:
    find(tmp_path / "run", "+callbacks.lr_finder.low=0.01", "+callbacks.lr_finder.high=1.0")
    rates = read_history(tmp_path / "run")
    for name in ("optim/lr", "optim/lr_matrices"):
        found = [rate for _, rate in rates[name]]
        assert len(found) == 16
        wanted = [found[0] * 100 ** (t / 15) for t in range(16)]
        assert found == pytest.approx(wanted, rel=1e-9)
    assert rates["optim/lr"][-1][1] == pytest.approx(3e-3, rel=1e-9)  # the configured one
    with (tmp_path / "run" / CURVE_FILE).open() as file:
        rows = list(csv.DictReader(file))
    # A loss stands beside the factor of the update before it; the first has none.
    assert [float(row["factor"]) for row in rows] == pytest.approx(
        [0.01 * 100 ** (t / 15) for t in range(15)], rel=1e-9
    )
    losses = [loss for _, loss in rates["train/loss"]][1:]
    assert [float(row["loss"]) for row in rows] == pytest.approx(losses, rel=1e-6)


def test_accumulation_counts_as_one_step(tmp_path: Path) -> None:
    find(tmp_path / "run", "trainer.accumulate=2")
    with (tmp_path / "run" / CURVE_FILE).open() as file:
        assert len(list(csv.DictReader(file))) == 15


def test_it_ends_where_the_loss_is_above_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = ("+callbacks.lr_finder.low=1", "+callbacks.lr_finder.high=1e6", "trainer.clip=null")
    result = find(tmp_path / "run", *wild, "optimizer=sgd", "trainer.max_steps=60")
    assert result.status == "finished"
    assert result.steps < 60
    assert result.stopped_early == "the smoothed loss is far above that of the first steps"
    said = capsys.readouterr().out
    assert "steepest descent" in said
    assert "loss above the start" in said
    assert (tmp_path / "run" / TEXT_FILE).read_text().splitlines()[0] in said


def test_the_noise_of_the_first_steps_ends_nothing() -> None:
    rows = [(1e-3, 5.5, 5.5), *[(1e-3, 5.6, 5.58)] * 20]
    assert not diverged(rows)
    assert diverged([*rows, (1.0, 9.0, 7.0)])
    assert not diverged([(1e-3, 1.0, 1.0), (1e-3, 9.0, 9.0)])  # too few to say


def test_conclusions_by_hand() -> None:
    """A loss that falls from 5 to 2, fastest at one place, and rises again to 6."""
    factors = [10 ** (i / 10 - 3) for i in range(50)]
    losses = [5 - 2.7 / (1 + math.exp(-(i - 25) / 2)) + 4 * max(0, i - 40) / 9 for i in range(50)]
    rows = [(f, loss, loss) for f, loss in zip(factors, losses, strict=True)]
    lines = conclusions(rows, {"decay": 3e-3, "no_decay": 3e-3, "matrices": 2e-2})
    number = {line[:22].strip(): float(line.split("factor ")[1].split()[0]) for line in lines[1:4]}
    assert number["steepest descent"] == pytest.approx(factors[24], rel=0.3)
    assert number["least loss"] == pytest.approx(factors[40], rel=1e-2)
    assert number["loss above the start"] == pytest.approx(factors[49], rel=1e-2)
    assert "rates 0.0" in lines[2]
    assert lines[2].count(",") == 1  # each rate once


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"low": 0.0}, "lr_finder.low=0.0 must be a positive number"),
        ({"high": -1.0}, "lr_finder.high=-1.0 must be a positive number"),
        ({"low": 2.0, "high": 1.0}, "lr_finder.low=2.0 must be below high=1.0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LRFinder(**options)
