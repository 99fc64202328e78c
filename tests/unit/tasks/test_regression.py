"""task=regression."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from lightning_transformer.data.examples import Rated
from lightning_transformer.tasks.metrics.row_losses import RowLosses
from lightning_transformer.tasks.predict import PredictOptions
from tests.conftest import noise, tiny
from tests.unit.tasks.drawn import drawn_batch, examples

CHOICE = ("model=encoder_only", "task=regression")
ROWS = [Rated(np.array([97, 98, 99]), 1.5), Rated(np.array([100]), -0.25)]


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny(*CHOICE)


def test_labels_are_numbers(model: Any) -> None:
    batch = model.task.collator("val")(ROWS, [0, 0])
    assert batch.labels.tolist() == [1.5, -0.25]
    assert batch.labels.dtype == torch.float32
    assert int(batch.n_targets) == 2


def test_loss_is_the_squared_error_of_the_pooled_row(model: Any) -> None:
    batch = model.task.collator("val")(ROWS, [0, 0])
    features = noise(2, 3, 32)
    pooled = torch.stack((features[0].mean(0), features[1, 0]))
    numbers = pooled @ model.task.head.weight[0] + model.task.head.bias[0]
    wanted = (numbers[0] - 1.5) ** 2 + (numbers[1] + 0.25) ** 2
    torch.testing.assert_close(model.task(features, batch).objective, wanted, rtol=0, atol=1e-12)
    rows = RowLosses(0, 1)
    metrics = nn.ModuleDict(model.task.metrics())
    with torch.no_grad():
        model.task.update(metrics, features, batch, rows)
    each = [(float(numbers[0].detach()) - 1.5) ** 2, (float(numbers[1].detach()) + 0.25) ** 2]
    assert rows.compute()["loss"] == pytest.approx(each, rel=1e-6)
    assert rows.compute()["count"].tolist() == [1, 1]


def test_metrics_are_those_of_scipy(model: Any) -> None:
    scores, labels = noise(40), noise(40, seed=1) + noise(40)
    metrics = nn.ModuleDict(model.task.metrics())
    for part in (slice(0, 25), slice(25, 39), slice(39, 40)):
        sums = model.task.loss(scores[part], labels[part])
        metrics["loss"].update(sums.nll, len(scores[part]))
        model.task.update_own(metrics, scores[part], labels[part], sums.nll)
    found = {name: float(value) for name, value in model.task.compute(metrics).items()}
    error = (scores - labels).numpy()
    assert found["loss"] == found["mse"] == pytest.approx(np.mean(error**2), rel=1e-9)
    assert found["mae"] == pytest.approx(np.mean(np.abs(error)), rel=1e-5)
    assert found["pearson"] == pytest.approx(stats.pearsonr(scores, labels)[0], abs=1e-5)
    assert found["spearman"] == pytest.approx(stats.spearmanr(scores, labels)[0], abs=1e-5)


@pytest.mark.filterwarnings("error::UserWarning")
def test_equal_predictions_have_no_correlation_and_a_diverged_one_is_seen(model: Any) -> None:
    batch = drawn_batch(model.task)
    for number, wanted in ((0.5, 0.0), (math.nan, math.nan)):
        metrics = nn.ModuleDict(model.task.metrics())
        scores = torch.full((4,), number)
        nll = model.task.loss(scores, batch.labels).nll
        metrics["loss"].update(nll, 4)
        model.task.update_own(metrics, scores, batch.labels, nll)
        found = model.task.compute(metrics)
        for name in ("pearson", "spearman"):
            assert float(found[name]) == pytest.approx(wanted, nan_ok=True)


def test_answers_are_numbers_and_samples_show_them(model: Any) -> None:
    texts = ["abc", "", "d"]
    found = [p.result() for p in model.task.predict(model, texts, PredictOptions())]
    batch = model.task.collator("val")(ROWS, [0, 0])
    wanted = model.task.scores(model.features(batch), batch)[0].tolist()
    assert [found[0], found[2]] == pytest.approx(wanted, abs=1e-9)
    assert found[1] == ""
    pieces = ["".join(p.pieces) for p in model.task.predict(model, texts, PredictOptions())]
    assert pieces == [f"{found[0]:.4g}", "", f"{found[2]:.4g}"]
    samples = model.task.demonstrate(model, ROWS)
    assert [(s.given, s.expected) for s in samples] == [("abc", "1.500"), ("d", "-0.250")]
    assert [s.output for s in samples] == [f"{number:.3f}" for number in wanted]


def test_an_option_of_generation_is_refused(model: Any) -> None:
    with pytest.raises(ValueError, match=r"^--top-k has no effect: a regression run names a numb"):
        next(iter(model.task.predict(model, ["a"], PredictOptions(given=frozenset({"--top-k"})))))


@pytest.mark.parametrize("kind", ["decoder_only", "encoder_decoder"])
def test_a_few_steps_bring_the_error_down(kind: str) -> None:
    net: Any = tiny(f"model={kind}", "task=regression").train()
    batch = net.task.collator("train")(examples(Rated, 4, equal=True), [0] * 4)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = net.task(net.features(batch), batch).objective
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2
