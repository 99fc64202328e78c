"""task=preference: its rows, its loss against a loop by hand, its metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightning_transformer.data.examples import Pair, Preference
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.tasks.base import Batch
from lightning_transformer.tasks.preference import ChosenThenRejected
from tests.conftest import options, tiny

WORDS = ByteVocabulary()
EOS, PAD = WORDS.eos_id, WORDS.pad_id
ROWS = [
    Preference(np.array([1, 2]), np.array([3, 4]), np.array([5])),
    Preference(np.array([6]), np.array([7]), np.array([8, 9])),
]
ALONE = Pair(np.array([11]), np.array([12]))  # a question with its answer and no other


def log_p(model: Any, prompt: np.ndarray, answer: np.ndarray) -> float:
    """log p(answer EOS | prompt), token by token, in float64."""
    ids, total = prompt.tolist(), 0.0
    for token in [*answer.tolist(), EOS]:
        row = Batch.without_labels(torch.tensor([ids]))
        with torch.no_grad():
            scores = model.task.head(model.features(row)[0, -1])
        total += float(scores.log_softmax(dim=-1)[token])
        ids.append(token)
    return total


def test_chosen_answers_stand_before_rejected_ones() -> None:
    batch = ChosenThenRejected(EOS, PAD)([*ROWS, ALONE], [0, 0, 0])
    assert batch.input_ids.tolist() == [
        [1, 2, 3, 4],
        [6, 7, PAD, PAD],
        [11, 12, PAD, PAD],
        [1, 2, 5, PAD],
        [6, 8, 9, PAD],
        [11, PAD, PAD, PAD],
    ]
    assert batch.responses is not None
    none = -100
    assert batch.responses.tolist() == [
        [none, 3, 4, EOS],
        [7, EOS, none, none],
        [12, EOS, none, none],
        [none, 5, EOS, none],
        [8, 9, EOS, none],
        [none] * 4,
    ]
    assert batch.labels.tolist() == [0, 0, none]
    assert (int(batch.n_targets), batch.n_tokens) == (2, 4 + 2 + 2 + 3 + 3 + 1)


@pytest.mark.parametrize("name", options("preference"))
def test_the_loss_is_that_of_each_pair_by_hand(name: str) -> None:
    """Log-probabilities token by token, another model as the reference, one pair at a time."""
    model: Any = tiny("task=preference", f"preference={name}")
    other: Any = tiny("task=preference", f"preference={name}", "init_seed=2")
    model.task.reference.begin(other)
    batch = model.task.collator("train")([*ROWS, ALONE], [0, 0, 0])
    batch = model.task.complete(model, batch)
    sums = model.task(model.features(batch), batch)
    pairs = model.task._pairs(model.features(batch), batch)
    expected, nll = 0.0, 0.0
    for row in ROWS:
        own = [log_p(model, row.prompt, answer) for answer in row[1:]]
        start = [log_p(other, row.prompt, answer) for answer in row[1:]]
        one = type(pairs)(
            *(torch.tensor([v], dtype=torch.float64) for v in own),
            *(torch.tensor([len(answer) + 1]) for answer in row[1:]),
            *(torch.tensor([v], dtype=torch.float64) for v in start),
        )
        expected += float(model.task.preference(one))
        nll += float(np.log1p(np.exp(own[1] - own[0])))
    assert float(sums.objective.detach()) == pytest.approx(expected, rel=1e-9)
    assert float(sums.nll) == pytest.approx(nll, rel=1e-9)
    sums.objective.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@torch.no_grad()
def test_metrics_by_hand() -> None:
    model: Any = tiny("task=preference")
    batch = model.task.collator("val")([*ROWS, ALONE], [0, 0, 0])
    metrics = nn.ModuleDict(model.task.metrics())
    model.task.update(metrics, model.features(batch), batch)
    found = {name: float(value) for name, value in model.task.compute(metrics).items()}
    chosen = [log_p(model, row[0], row[1]) for row in (*ROWS, ALONE)]
    rejected = [log_p(model, row.prompt, row.rejected) for row in ROWS]
    margins = np.array(chosen[:2]) - np.array(rejected)
    assert found["accuracy"] == (margins > 0).mean()
    assert found["margin"] == pytest.approx(margins.mean(), rel=1e-9)
    assert found["loss"] == pytest.approx(np.log1p(np.exp(-margins)).mean(), rel=1e-9)
    assert found["probability"] == pytest.approx(np.exp(chosen).mean(), rel=1e-9)
    assert found["chosen_nll"] == pytest.approx(-sum(chosen) / (3 + 2 + 2), rel=1e-9)
    assert found["exact_match"] == 0.0
    assert sorted(found) == sorted(model.task.metric_names())


def test_a_model_that_is_its_own_reference_has_a_loss_of_log_2() -> None:
    model: Any = tiny("task=preference")
    batch = model.task.collator("train")(ROWS, [0, 0])
    alone = model.task(model.features(batch), batch).objective.detach()
    batch = model.task.complete(model, batch)
    beside = model.task(model.features(batch), batch).objective.detach()
    assert float(alone) == pytest.approx(2 * np.log(2), rel=1e-12)
    assert float(beside) == pytest.approx(2 * np.log(2), rel=1e-12)
