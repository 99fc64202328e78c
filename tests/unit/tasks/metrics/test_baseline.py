"""What one guess for all reaches, by hand."""

from __future__ import annotations

import math
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from lightning_transformer.data.examples import Labelled, Pair, Rated, Tokens
from lightning_transformer.tasks.base import Task
from lightning_transformer.tasks.metrics.baseline import Baseline
from tests.conftest import options, tiny
from tests.helpers.variants import model_of
from tests.unit.tasks.drawn import examples


def measured(task: Task, train: list[Any], test: list[Any]) -> dict[str, float]:
    baseline = Baseline()
    baseline.learn(task, train)
    baseline.begin("test", task, torch.device("cpu"))
    for rows in (test[:1], test[1:]):
        batch = task.collator("test")(rows, [0] * len(rows))
        baseline.add("test", SimpleNamespace(task=task, data_ranks=(0, 1)), batch)
    baseline.end("test", task)
    baseline.begin("test", task, torch.device("cpu"))  # has been measured
    assert baseline._metrics is None
    return baseline.values["test"]


def test_of_tokens_it_is_the_unigram() -> None:
    task = tiny("task=causal_lm").task
    train, test = np.array([97, 97, 98, 97, 99]), np.array([97, 98, 100])
    found = measured(task, [Tokens(train)], [Tokens(test), Tokens(test)])
    counts, size = Counter(train[1:].tolist()), task.vocabulary.size
    nats = [-math.log((counts[token] + 1) / (4 + size)) for token in (98, 100)]
    assert found["loss"] == pytest.approx(sum(nats) / 2, rel=1e-6)
    assert found["bits_per_byte"] == pytest.approx(found["loss"] / math.log(2), rel=1e-6)


def test_of_classes_it_is_the_majority() -> None:
    task = tiny("model=encoder_only", "task=classification").task
    row = np.array([97, 98])
    train = [Labelled(row, label) for label in (1, 1, 1, 0)]
    found = measured(task, train, [Labelled(row, label) for label in (0, 1, 1, 2)])
    assert found["accuracy"] == pytest.approx(2 / 4)
    shares = [2 / 7, 4 / 7, 4 / 7, 1 / 7]
    assert found["loss"] == pytest.approx(-sum(map(math.log, shares)) / 4, rel=1e-6)
    assert found["auroc"] == pytest.approx(1 / 2)
    assert found["mcc"] == 0


def test_of_numbers_it_is_the_mean() -> None:
    task = tiny("model=encoder_only", "task=regression").task
    row = np.array([97])
    found = measured(task, [Rated(row, 1.0), Rated(row, 3.0)], [Rated(row, 2.0), Rated(row, 5.0)])
    assert found["mse"] == pytest.approx((0 + 9) / 2)
    assert found["mae"] == pytest.approx(3 / 2)
    assert found["pearson"] == 0


def test_of_generated_text_it_is_the_source() -> None:
    task: Any = tiny("model=encoder_decoder").task
    encode = task.vocabulary.encode
    pairs = [Pair(encode("the old cat sat"), encode("the old cat sat"))] * 2
    found = measured(task, pairs, pairs)
    assert found["bleu"] == pytest.approx(100)
    assert (found["exact_match"], found["ter"]) == (1, 0)


@pytest.mark.parametrize("option", options("task"))
def test_each_task_has_one_for_its_loss(option: str) -> None:
    task = tiny(f"model={model_of(option)}", f"task={option}").task
    rows = examples(task.example, 6)
    if task.collator("test")(rows, [0] * 6).responses is not None:
        pytest.skip("a guess that does not look at responses prefers none of them")
    found = measured(task, rows, rows)
    assert set(found) <= set(task.metric_names())
    assert math.isfinite(found["loss"])
