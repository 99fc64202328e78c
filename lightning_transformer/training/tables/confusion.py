"""The table by class and the confusion matrix, as files and as a picture."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lightning_transformer.runs.atomic import write_atomically
from lightning_transformer.tasks.metrics.classes import by_class
from lightning_transformer.training.tables.shares import draw as draw_plot

BY_CLASS, COUNTS, PICTURE = "by_class.csv", "confusion.csv", "confusion.png"
COLUMNS = ("label", "n", "precision", "recall", "f1")
MOST = 30  # classes in a picture that can be read
CELL = 24  # pixels
NUMBERED = 12  # classes up to which the cells hold their counts


def write_confusion(folder: Path, counts: np.ndarray, labels: Sequence[str]) -> bytes:
    """Write by_class.csv, confusion.csv and confusion.png; return the picture.

    counts (n, n): a row per true class, a column per guessed class.
    """
    write_atomically(
        folder / BY_CLASS, _csv([COLUMNS, *by_class(torch.from_numpy(counts), labels)])
    )
    table = [("true \\ guessed", *labels)]
    table += [(label, *row) for label, row in zip(labels, counts.tolist(), strict=True)]
    write_atomically(folder / COUNTS, _csv(table))
    picture = draw(counts, labels)
    write_atomically(folder / PICTURE, picture)
    return picture


def write_by_label(folder: Path, counts: np.ndarray, labels: Sequence[str]) -> None:
    """Write by_class.csv of labels that are told apart one by one.

    counts (n, 5): found rightly, found wrongly, left out rightly, left out wrongly, there.
    """
    rows = []
    for label, (right, wrong, _, missed, there) in zip(labels, counts.tolist(), strict=True):
        precision, recall = right / max(right + wrong, 1), right / max(there, 1)
        rows.append(
            (label, there, precision, recall, 2 * right / max(2 * right + wrong + missed, 1))
        )
    write_atomically(folder / BY_CLASS, _csv([COLUMNS, *rows]))


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def draw(counts: np.ndarray, labels: Sequence[str]) -> bytes:
    """A PNG of the share of each true class that is guessed as each class.

    Of more than 30 classes the most frequent are shown.
    """
    return draw_plot(specification(counts, labels))


def specification(counts: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """The picture in Vega-Lite."""
    n_of = counts.sum(axis=1)
    shown = np.sort(np.argsort(-n_of, kind="stable")[:MOST])
    names = [f"{labels[i]} " for i in shown]  # a blank, so that "1" is no number
    rows = [
        {"true": a, "guessed": b, "n": int(counts[i, j]), "share": counts[i, j] / max(n_of[i], 1)}
        for a, i in zip(names, shown.tolist(), strict=True)
        for b, j in zip(names, shown.tolist(), strict=True)
    ]
    x = {"field": "guessed", "type": "nominal", "sort": names, "title": "guessed"}
    y = {"field": "true", "type": "nominal", "sort": names, "title": "true"}
    shade = {
        "field": "share",
        "type": "quantitative",
        "scale": {"domain": [0, 1], "scheme": "blues"},
    }
    layers: list[dict[str, Any]] = [{"mark": "rect", "encoding": {"color": shade}}]
    if len(shown) <= NUMBERED:
        ink = {"condition": {"test": "datum.share > 0.5", "value": "white"}, "value": "black"}
        text = {"field": "n", "type": "quantitative"}
        layers.append({"mark": {"type": "text"}, "encoding": {"text": text, "color": ink}})
    left_out = f", the {MOST} most frequent of {len(labels)}" if len(labels) > len(shown) else ""
    return {
        "title": f"share of each true class{left_out}",
        "data": {"values": rows},
        "width": {"step": CELL if len(shown) > NUMBERED else 2 * CELL},
        "height": {"step": CELL},
        "encoding": {"x": x, "y": y},
        "layer": layers,
    }
