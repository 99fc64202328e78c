"""task=instruct."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightning_transformer.data.examples import Pair, Tokens
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.tasks.instruct import PromptThenResponse
from lightning_transformer.tasks.predict import PredictOptions
from tests.conftest import tiny

WORDS = ByteVocabulary()
EOS, PAD = WORDS.eos_id, WORDS.pad_id
ROWS = [Pair(np.array([1, 2]), np.array([3, 4, 5])), Pair(np.array([6]), np.array([7]))]


def test_the_loss_is_on_the_response_and_its_end_alone() -> None:
    batch = PromptThenResponse(EOS, PAD)(ROWS, [0, 0])
    assert batch.input_ids.tolist() == [[1, 2, 3, 4, 5], [6, 7, PAD, PAD, PAD]]
    assert batch.labels.tolist() == [[-100, 3, 4, 5, EOS], [7, EOS, -100, -100, -100]]
    assert (int(batch.n_targets), batch.n_tokens) == (6, 7)


def test_what_a_trained_model_expects_stands_in_front() -> None:
    batch = PromptThenResponse(EOS, PAD, (9,))(ROWS[1:], [0])
    assert batch.input_ids.tolist() == [[9, 6, 7]]
    assert batch.labels.tolist() == [[-100, 7, EOS]]


@torch.no_grad()
def test_the_loss_is_that_of_a_language_model_on_the_same_row() -> None:
    """The twin: causal_lm's losses of the places that say the response."""
    model: Any = tiny("task=instruct")
    language: Any = tiny("task=causal_lm")
    language.load_state_dict(model.state_dict())
    ids = np.array([10, 20, 30, 40, 50, EOS])
    pair = model.task.collator("val")([Pair(ids[:2], ids[2:-1])], [0])
    found = model.task(model.features(pair), pair).nll
    row = language.task.collator("val")([Tokens(ids)], [0])
    scores, labels = language.task.scores(language.features(row), row)
    each = nn.functional.cross_entropy(scores, labels, reduction="none")
    assert float(found) == pytest.approx(float(each[1:].sum()), rel=1e-12)


def test_metrics_by_hand() -> None:
    task: Any = tiny("task=instruct").task
    batch = task.collator("val")(ROWS, [0, 0])
    labels = batch.labels.flatten()
    said = labels.clamp(min=0)
    said[2] = 0  # the 4 of the first response
    metrics = nn.ModuleDict(task.metrics())
    scores = nn.functional.one_hot(said, task.vocabulary.size).double()
    task.update_scored(metrics, scores, labels, batch)
    found = {name: float(value) for name, value in task.compute(metrics).items()}
    assert found["accuracy"] == pytest.approx(5 / 6)
    assert found["exact_match"] == pytest.approx(1 / 2)
    assert found["perplexity"] == pytest.approx(float(np.exp(found["loss"])))
    assert sorted(found) == sorted(task.metric_names())


def test_both_sides_fit_the_model() -> None:
    model = tiny("task=instruct", "position=learned")
    batch = model.task.collator("train")([Pair(np.full(16, 97), np.full(16, 98))], [0])
    assert model.features(batch).shape == (1, 32, 32)


def test_a_prompt_is_answered_and_an_empty_one_is_not() -> None:
    model: Any = tiny("task=instruct")
    options = PredictOptions(max_new_tokens=3)
    first, second = (p.rest() for p in model.task.predict(model, ["ab", ""], options))
    assert second == ""
    alone = next(iter(model.task.predict(model, ["ab"], options))).rest()
    assert first == alone
    (sample,) = model.task.demonstrate(model, [Pair(WORDS.encode("ab"), WORDS.encode("ba"))])
    assert (sample.given, sample.expected) == ("ab", "ba")
