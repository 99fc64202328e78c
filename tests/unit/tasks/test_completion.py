"""task=completion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightning_transformer.data.examples import Pair
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.decoding.decode import generate_tokens
from lightning_transformer.tasks.completion import SourceThenTarget
from tests.conftest import tiny
from tests.unit.tasks.drawn import examples

WORDS = ByteVocabulary()
BOS, EOS, PAD = WORDS.bos_id, WORDS.eos_id, WORDS.pad_id
ROWS = [Pair(np.array([1, 2]), np.array([3, 4, 5])), Pair(np.array([6]), np.array([7]))]


def test_the_loss_is_on_the_target_alone() -> None:
    batch = SourceThenTarget(BOS, EOS, PAD)(ROWS, [0, 0])
    assert batch.input_ids.tolist() == [[1, 2, BOS, 3, 4, 5], [6, BOS, 7, PAD, PAD, PAD]]
    assert batch.labels.tolist() == [[-100, -100, 3, 4, 5, EOS], [-100, 7, EOS] + [-100] * 3]
    assert (int(batch.n_targets), batch.n_tokens) == (6, 9)


def test_what_is_not_scored_is_read_and_no_target() -> None:
    pair = Pair(np.array([1]), np.array([2, 3]), np.array([False, True]))
    batch = SourceThenTarget(BOS, EOS, PAD)([pair], [0])
    assert batch.input_ids.tolist() == [[1, BOS, 2, 3]]
    assert batch.labels.tolist() == [[-100, -100, 3, EOS]]


def test_both_sides_fit_the_model() -> None:
    model = tiny("task=completion", "position=learned")
    full = [Pair(np.full(16, 97), np.full(16, 98))]
    batch = model.task.collator("train")(full, [0])
    assert batch.input_ids.shape == (1, 33)
    assert model.features(batch).shape == (1, 33, 32)


def test_metrics_by_place_and_length_by_hand() -> None:
    task: Any = tiny("task=completion").task
    batch = task.collator("val")(ROWS, [0, 0])
    labels = batch.labels.flatten()
    said = labels.clamp(min=0)
    said[4] = 0  # the 5 of the first target
    metrics = nn.ModuleDict(task.metrics())
    scores = nn.functional.one_hot(said, task.vocabulary.size).double()
    task.update_scored(metrics, scores, labels, batch)
    found = {name: float(value) for name, value in task.compute(metrics).items()}
    assert found["accuracy"] == pytest.approx(5 / 6)
    assert found["exact_match"] == pytest.approx(1 / 2)
    assert metrics["by_place"].compute()[:4].tolist() == [[2, 2], [2, 2], [0, 1], [1, 1]]
    assert metrics["by_length"].compute()[:3].tolist() == [[0, 0], [1, 1], [0, 1]]
    assert not {"by_place", "by_length"} & set(task.metric_names())


def test_a_target_that_was_cut_is_not_matched() -> None:
    """Both rows say all their labels; the second one's text goes on behind them."""
    task: Any = tiny("task=completion").task
    cut = ROWS[1]._replace(rest=np.array([8, 9]))
    batch = task.collator("val")([ROWS[0], cut], [0, 0])
    assert batch.rests.tolist() == [[-100, -100], [8, 9]]
    labels = batch.labels.flatten()
    scores = nn.functional.one_hot(labels.clamp(min=0), task.vocabulary.size).double()
    metrics = nn.ModuleDict(task.metrics())
    task.update_scored(metrics, scores, labels, batch)
    found = task.compute(metrics)
    assert (float(found["accuracy"]), float(found["exact_match"])) == (1.0, 0.5)
    assert metrics["by_length"].compute()[:3].tolist() == [[0, 0], [0, 1], [1, 1]]


def test_an_exact_match_is_what_greedy_decoding_writes() -> None:
    """Targets that the model itself wrote are matched, and others are not."""
    model: Any = tiny("task=completion")
    sources = [pair.source for pair in examples(Pair, 6)]
    written = generate_tokens(model, [np.append(s, BOS) for s in sources], max_new_tokens=4)
    pairs = [Pair(s, np.array(w, dtype=np.int64)) for s, w in zip(sources, written, strict=True)]
    batch = model.task.collator("val")(pairs, [0] * 6)
    with torch.no_grad():
        scores, labels = model.task.scores(model.features(batch), batch)
    labels = labels.masked_fill(labels == EOS, -100)  # the model was cut before it ended
    scores[:, WORDS.n_text :] = -torch.inf
    batch = batch._replace(labels=labels.view_as(batch.labels), n_targets=(labels != -100).sum())
    for changed, wanted in ((0, 1.0), (1, 0.0)):
        metrics = nn.ModuleDict(model.task.metrics())
        other = torch.where(labels == -100, labels, (labels + changed) % 256)
        seen = batch._replace(labels=other.view_as(batch.labels))
        model.task.update_scored(metrics, scores, other, seen)
        assert float(metrics["exact_match"].compute()) == wanted


def test_samples_show_source_output_and_target() -> None:
    model: Any = tiny("task=completion")
    samples = model.task.demonstrate(model, [Pair(WORDS.encode("ab"), WORDS.encode("ba"))])
    assert [(s.given, s.expected) for s in samples] == [("ab", "ba")]
