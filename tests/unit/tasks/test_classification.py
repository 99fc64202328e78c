"""task=classification."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightning_transformer.data.examples import Labelled
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.tasks.pooled import LabelRows
from tests.conftest import noise, tiny

CHOICE = ("model=encoder_only", "task=classification")
ROWS = [Labelled(np.array([97, 98, 99]), 2), Labelled(np.array([100]), 0)]


def test_rows_are_padded_and_labels_are_one_per_row() -> None:
    batch = LabelRows([], pad_id=256)(ROWS, [0, 0])
    assert batch.input_ids.tolist() == [[97, 98, 99], [100, 256, 256]]
    assert batch.padding.tolist() == [[False] * 3, [False, True, True]]
    assert batch.labels.tolist() == [2, 0]
    assert (int(batch.n_targets), batch.n_tokens) == (2, 4)


def test_pooling_by_a_token_puts_it_in_front() -> None:
    task = tiny(*CHOICE, "pooling=cls").task
    batch = task.collator("train")(ROWS, [0, 0])
    assert batch.input_ids[:, 0].tolist() == [ByteVocabulary().cls_id] * 2
    assert batch.input_ids[0].tolist()[1:] == [97, 98, 99]
    assert task.n_extra_tokens == 1


def test_the_model_has_room_for_the_token() -> None:
    model = tiny(*CHOICE, "pooling=cls", "position=learned")
    full = [Labelled(np.full(16, 97), 1)]
    batch = model.task.collator("train")(full, [0])
    assert batch.input_ids.shape == (1, 17)
    assert model.features(batch).shape == (1, 17, 32)
    assert tiny(*CHOICE).max_len == 16


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_row_does_not_depend_on_its_neighbours_length(pooling: str) -> None:
    model: Any = tiny(*CHOICE, f"pooling={pooling}")
    both = model.task.collator("val")(ROWS, [0, 0])
    alone = model.task.collator("val")(ROWS[1:], [0])
    scores = model.task.scores(model.features(both), both)[0]
    single = model.task.scores(model.features(alone), alone)[0]
    torch.testing.assert_close(scores[1:], single, rtol=0, atol=1e-10)


def test_accuracy_and_f1_by_hand() -> None:
    task: Any = tiny(*CHOICE).task
    guesses, labels = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 1, 1, 1, 0])
    metrics = nn.ModuleDict(task.metrics())
    scores = nn.functional.one_hot(guesses, 3).double()
    task.update_own(metrics, scores[:2], labels[:2], torch.zeros(()))
    task.update_own(metrics, scores[2:], labels[2:], torch.zeros(()))
    assert float(metrics["accuracy"].compute()) == pytest.approx(3 / 5)
    # Class 0: 1 right, 1 wrong, 1 missed. Class 1: 2 right, 1 wrong, 1 missed. Class 2: absent.
    assert float(metrics["f1"].compute()) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_metrics_of_the_field_by_hand() -> None:
    task: Any = tiny(*CHOICE).task
    chances = torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.5, 0.4, 0.1]]).double()
    labels = torch.tensor([0, 1, 1])
    metrics = nn.ModuleDict(task.metrics())
    task.update_own(metrics, chances.log(), labels, torch.zeros(()))
    found = {name: metrics[name].compute() for name in ("brier", "auroc", "mcc", "f1_weighted")}
    brier = (0.3**2 + 0.2**2 + 0.1**2) + (0.3**2 + 0.4**2 + 0.1**2) + (0.5**2 + 0.6**2 + 0.1**2)
    assert float(found["brier"]) == pytest.approx(brier / 3, abs=1e-6)
    assert float(found["auroc"]) == pytest.approx(1)  # both classes are in order
    # guesses 0, 1, 0: of the true 0 one, of the true 1 one of two.
    assert float(found["mcc"]) == pytest.approx((2 * 3 - (2 * 1 + 1 * 2)) / (4 * 4) ** 0.5)
    assert float(found["f1_weighted"]) == pytest.approx((1 * 2 / 3 + 2 * 2 / 3) / 3)
    assert metrics["confusion"].compute().tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_the_confusion_matrix_is_no_number() -> None:
    task: Any = tiny(*CHOICE).task
    assert "confusion" in task.metrics()
    assert "confusion" not in task.metric_names()


def test_samples_name_the_class() -> None:
    model: Any = tiny(*CHOICE)
    samples = model.task.demonstrate(model, ROWS)
    assert [s.given for s in samples] == ["abc", "d"]
    assert [s.expected for s in samples] == ["three", "one"]
    assert all(s.output.split()[0] in ("one", "two", "three") for s in samples)


def test_loss_is_that_of_the_pooled_row() -> None:
    model: Any = tiny(*CHOICE)
    batch = model.task.collator("val")(ROWS, [0, 0])
    features = noise(2, 3, 32)
    pooled = torch.stack((features[0].mean(0), features[1, 0]))
    wanted = nn.functional.cross_entropy(model.task.head(pooled), batch.labels, reduction="sum")
    torch.testing.assert_close(model.task(features, batch).nll, wanted, rtol=0, atol=1e-10)
