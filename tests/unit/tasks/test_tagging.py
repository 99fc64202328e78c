"""task=tagging."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightning_transformer.data.examples import Tagged
from lightning_transformer.tasks.tagging import TagRows
from tests.conftest import tiny

CHOICE = ("model=encoder_only", "task=tagging")
ROWS = [
    Tagged(np.array([97, 98, 99]), np.array([1, -100, 2])),
    Tagged(np.array([100, 101]), np.array([-100, 0])),
]


def test_rows_and_tags_are_padded() -> None:
    batch = TagRows(pad_id=256)(ROWS, [0, 0])
    assert batch.input_ids.tolist() == [[97, 98, 99], [100, 101, 256]]
    assert batch.labels.tolist() == [[1, -100, 2], [-100, 0, -100]]
    assert batch.padding.tolist() == [[False] * 3, [False, False, True]]
    assert (int(batch.n_targets), batch.n_tokens) == (3, 5)


def test_accuracy_and_f1_count_words() -> None:
    task: Any = tiny(*CHOICE).task
    labels = torch.tensor([1, -100, 2, -100, 0, 1])
    guesses = torch.tensor([1, 0, 2, 1, 1, 1])
    metrics = nn.ModuleDict(task.metrics())
    task.update_own(metrics, nn.functional.one_hot(guesses, 3).double(), labels, torch.zeros(()))
    assert float(metrics["accuracy"].compute()) == pytest.approx(3 / 4)
    # Tag 0: missed once. Tag 1: 2 right, 1 wrong. Tag 2: 1 right.
    assert float(metrics["f1"].compute()) == pytest.approx((0 + 4 / 5 + 1) / 3)


def test_untagged_tokens_change_the_context_but_are_no_targets() -> None:
    model: Any = tiny(*CHOICE)
    batch = model.task.collator("val")(ROWS, [0, 0])
    features = model.features(batch)
    sums = model.task(features, batch)
    (gradient,) = torch.autograd.grad(sums.objective, features)
    tagged = batch.labels != -100
    assert not gradient[~tagged].any()
    assert gradient[tagged].abs().sum(-1).all()


def test_samples_list_the_tags_of_the_words() -> None:
    model: Any = tiny(*CHOICE)
    samples = model.task.demonstrate(model, ROWS)
    assert [s.expected for s in samples] == ["two three", "one"]
    assert [len(s.output.split()) for s in samples] == [2, 1]
    assert samples[0].given == "abc"
