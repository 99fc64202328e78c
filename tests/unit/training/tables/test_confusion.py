"""The table by class and the picture of the confusion matrix."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from lightning_transformer.training.tables.confusion import specification, write_confusion

COUNTS = np.array([[3, 1], [2, 4]])


def test_files_hold_the_counts_and_what_follows_from_them(tmp_path: Path) -> None:
    picture = write_confusion(tmp_path, COUNTS, ["no", "yes, it is"])
    by_class = list(csv.DictReader((tmp_path / "by_class.csv").open()))
    assert [row["label"] for row in by_class] == ["no", "yes, it is"]
    assert [int(row["n"]) for row in by_class] == [4, 6]
    assert float(by_class[0]["precision"]) == pytest.approx(3 / 5)
    assert float(by_class[0]["recall"]) == pytest.approx(3 / 4)
    assert float(by_class[1]["f1"]) == pytest.approx(2 * 4 / (5 + 6))
    rows = list(csv.reader((tmp_path / "confusion.csv").open()))
    assert rows[1:] == [["no", "3", "1"], ["yes, it is", "2", "4"]]
    assert (tmp_path / "confusion.png").read_bytes() == picture
    assert picture.startswith(b"\x89PNG")


def test_shares_are_of_the_true_class() -> None:
    rows = specification(COUNTS, ["0", "1"])["data"]["values"]
    assert [row["share"] for row in rows] == pytest.approx([3 / 4, 1 / 4, 2 / 6, 4 / 6])


def test_of_many_classes_the_most_frequent_are_shown() -> None:
    counts = np.diag([*range(1, 51)])
    plot = specification(counts, [str(i) for i in range(50)])
    assert len(plot["data"]["values"]) == 30 * 30
    assert {row["true"] for row in plot["data"]["values"]} == {f"{i} " for i in range(20, 50)}
    assert "30 most frequent of 50" in plot["title"]
