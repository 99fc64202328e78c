"""task=multi_label."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.functional.classification import multilabel_f1_score

from lightning_transformer.data.examples import MultiLabelled
from lightning_transformer.tasks.base import BY_LABEL, value
from lightning_transformer.tasks.metrics.baseline import Baseline
from lightning_transformer.tasks.metrics.row_losses import RowLosses
from lightning_transformer.tasks.predict import PredictOptions
from lightning_transformer.training.tables.confusion import write_by_label
from tests.conftest import noise, tiny
from tests.unit.tasks.drawn import examples

ROWS = [
    MultiLabelled(np.array([97, 98, 99]), np.array([0, 2])),
    MultiLabelled(np.array([100]), np.array([], dtype=np.int64)),
]
# Three labels, five rows: guesses and truth, of which all below is worked by hand.
GUESSED = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]])
TRUE = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0], [1, 1, 0]])


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny("model=encoder_only", "task=multi_label")


def test_a_row_has_a_place_for_each_label(model: Any) -> None:
    batch = model.task.collator("val")(ROWS, [0, 0])
    assert batch.labels.tolist() == [[1, 0, 1], [0, 0, 0]]
    assert int(batch.n_targets) == 6
    assert batch.padding.tolist() == [[False] * 3, [False, True, True]]


@pytest.mark.filterwarnings("error::UserWarning")
def test_loss_is_torchs_mean_over_rows_and_labels(model: Any) -> None:
    rows = examples(MultiLabelled, 8, seed=3)
    batch = model.task.collator("val")(rows, [0] * 8)
    metrics, losses = nn.ModuleDict(model.task.metrics()), RowLosses(0, 1)
    with torch.no_grad():
        features = model.features(batch)
        model.task.update(metrics, features, batch, losses)
        scores, labels = model.task.scores(features, batch)
    wanted = nn.BCEWithLogitsLoss()(scores, labels.double())
    found = model.task.compute(metrics)
    assert float(found["loss"]) == pytest.approx(float(wanted), rel=1e-12)
    assert list(found) == model.task.metric_names()
    kept = losses.compute()
    assert kept["count"].tolist() == [3] * 8
    assert kept["loss"].sum() / 24 == pytest.approx(float(wanted), rel=1e-6)


def measured(task: Any, guessed: torch.Tensor, true: torch.Tensor) -> tuple[dict[str, float], Any]:
    metrics = nn.ModuleDict(task.metrics())
    for part in (slice(0, 2), slice(2, len(true))):
        metrics["loss"].update(0.0, 1)
        scores = (guessed[part] * 2 - 1).double()
        task.update_own(metrics, scores, true[part], torch.zeros(()))
    return {k: float(v) for k, v in task.compute(metrics).items()}, value(metrics, BY_LABEL)


def test_scores_by_hand_and_of_torchmetrics(model: Any, tmp_path: Path) -> None:
    found, counts = measured(model.task, GUESSED, TRUE)
    assert found["accuracy"] == pytest.approx(12 / 15)
    assert found["exact_match"] == pytest.approx(2 / 5)
    # Label 1: 2 found, 1 wrong, 1 missed; label 2: 2 found, 0 wrong, 1 missed; label 3 is nowhere.
    first, second = 2 * 2 / (2 * 2 + 1 + 1), 2 * 2 / (2 * 2 + 0 + 1)
    assert found["f1"] == pytest.approx((first + second) / 2)
    assert found["f1_micro"] == pytest.approx(2 * 4 / (2 * 4 + 1 + 2))
    micro = multilabel_f1_score(GUESSED, TRUE, 3, average="micro")
    assert found["f1_micro"] == pytest.approx(float(micro))
    write_by_label(tmp_path, counts.numpy(), ["a", "b, c", "d"])
    rows = list(csv.DictReader((tmp_path / "by_class.csv").open()))
    assert [(row["label"], int(row["n"])) for row in rows] == [("a", 3), ("b, c", 3), ("d", 0)]
    assert float(rows[0]["precision"]) == pytest.approx(2 / 3)
    assert float(rows[1]["recall"]) == pytest.approx(2 / 3)
    assert [float(row["f1"]) for row in rows] == pytest.approx([first, second, 0.0])


def test_macro_f1_is_that_of_torchmetrics_where_each_label_occurs(model: Any) -> None:
    guessed, true = (noise(60, 3) > 0).long(), (noise(60, 3, seed=1) > 0.3).long()
    found, _ = measured(model.task, guessed, true)
    macro = multilabel_f1_score(guessed, true, 3, average="macro")
    assert found["f1"] == pytest.approx(float(macro), abs=1e-7)


def test_nothing_there_and_nothing_guessed(model: Any) -> None:
    nothing = torch.zeros(4, 3, dtype=torch.long)
    found, _ = measured(model.task, nothing, nothing)
    assert (found["f1"], found["f1_micro"], found["exact_match"]) == (0.0, 0.0, 1.0)


def test_the_baseline_guesses_how_often_each_label_is_given(model: Any) -> None:
    class Owner:
        task, data_ranks = model.task, (0, 1)

    rows = [MultiLabelled(np.array([97]), np.array(c)) for c in ([0], [0, 1], [0], [0, 2])]
    baseline = Baseline()
    baseline.learn(model.task, rows)
    assert baseline.row is not None
    given = torch.tensor([5 / 6, 2 / 6, 2 / 6])
    torch.testing.assert_close(baseline.row.sigmoid(), given)
    baseline.begin("val", model.task, torch.device("cpu"))
    baseline.add("val", Owner, model.task.collator("val")(rows, [0] * 4))
    baseline.end("val", model.task)
    found = baseline.values["val"]
    assert found["accuracy"] == pytest.approx(10 / 12)
    assert found["f1_micro"] == pytest.approx(8 / 10)
    parts = -(4 * math.log(5 / 6) + 2 * (math.log(1 / 3) + 3 * math.log(2 / 3)))
    assert found["loss"] == pytest.approx(parts / 12, rel=1e-6)


def test_labels_above_one_half_are_named_the_likeliest_first() -> None:
    model: Any = tiny("model=encoder_only", "task=multi_label")
    with torch.no_grad():
        model.task.head.weight.zero_()
        model.task.head.bias.copy_(torch.tensor([0.5, -1.0, 2.0]))
    first, empty = model.task.predict(model, ["abc", ""], PredictOptions())
    assert "".join(first.pieces) == "three\t0.881\tone\t0.622"
    assert [name for name, _ in first.value] == ["three", "one"]
    assert first.value[1][1] == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert (empty.value, "".join(empty.pieces)) == ((), "")
    (sample,) = model.task.demonstrate(model, ROWS[1:])
    assert (sample.output, sample.expected) == ("three (88%), one (62%)", "(none)")


@pytest.mark.parametrize("kind", ["decoder_only", "encoder_decoder"])
def test_every_architecture_reads_rows(kind: str) -> None:
    model: Any = tiny(f"model={kind}", "task=multi_label", "pooling=last")
    batch = model.task.collator("train")(examples(MultiLabelled, 4), [0] * 4)
    scores, labels = model.task.scores(model.features(batch), batch)
    assert scores.shape == labels.shape == (4, 3)
