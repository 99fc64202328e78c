"""task=tagging."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightning_transformer.data.examples import Tagged
from lightning_transformer.data.windows import windowed
from lightning_transformer.errors import ConfigError
from lightning_transformer.tasks.base import Batch
from lightning_transformer.tasks.predict import PredictOptions
from lightning_transformer.tasks.tagging import TagRows
from lightning_transformer.training.preflight.build import check_pairing
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


def test_tags_that_mark_spans_are_scored_by_span() -> None:
    model: Any = tiny(*CHOICE)
    task = model.task
    assert "spans" not in task.metrics()
    assert task.signatures() == {}
    task.labels = ["B-X", "I-X", "O"]
    metrics = nn.ModuleDict(task.metrics())
    batch = task.collator("val")(ROWS, [0, 0])  # I-X O, and B-X
    right = nn.functional.one_hot(batch.labels.flatten().clamp(min=0), 3).double()
    task.update_scored(metrics, right, batch.labels.flatten(), batch)
    found = {name: float(v) for name, v in task.compute(metrics).items()}
    assert list(found) == task.metric_names()
    # No scheme has a span I-X and a span B-X; IOB1 starts by B only behind another span.
    assert [found[name] for name in ("span_f1", "span_precision", "span_recall")] == [1, 1, 1]
    wrong = right.clone()
    wrong[0] = torch.tensor([0, 0, 1.0])
    metrics = nn.ModuleDict(task.metrics())
    task.update_scored(metrics, wrong, batch.labels.flatten(), batch)
    found = {name: float(v) for name, v in task.compute(metrics).items()}
    assert found["span_recall"] == 1 / 2
    assert found["span_precision"] == 1
    assert set(task.signatures()) == {name for name in found if name.startswith("span_")}


def test_windows_say_where_they_come_from() -> None:
    collate = TagRows(pad_id=256)
    window = Tagged(np.array([97]), np.array([1]), sentence=4, start=7)
    assert collate(ROWS, [0, 0]).origins is None
    assert collate([ROWS[0], window], [0, 0]).origins.tolist() == [[-1, 0], [4, 7]]


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


def test_a_decoder_tags_from_what_is_to_the_left() -> None:
    model: Any = tiny("task=tagging")
    batch = model.task.collator("val")(ROWS, [0, 0])
    other = batch._replace(input_ids=batch.input_ids.clone())
    other.input_ids[0, 2] += 1
    with torch.no_grad():
        scores, changed = (
            model.task.scores(model.features(b), b)[0].unflatten(0, (2, 3)) for b in (batch, other)
        )
        alone = model.task.head(model.features(Batch.without_labels(batch.input_ids[1:, :2])))
    assert torch.equal(scores[0, :2], changed[0, :2])
    assert not torch.equal(scores[0, 2], changed[0, 2])
    torch.testing.assert_close(scores[1:, :2], alone, rtol=0, atol=1e-12)


def test_a_model_with_a_source_is_refused() -> None:
    model = tiny("model=encoder_decoder", "task=tagging")
    data: Any = SimpleNamespace(example=Tagged, seq_len=16)
    names = {"model": "encoder_decoder", "task": "tagging"}
    line = (
        r"^task=tagging needs a model without a source; .* Use model=decoder_only or encoder_only"
    )
    with pytest.raises(ConfigError, match=line):
        check_pairing(model, data, names)
    check_pairing(tiny("task=tagging"), data, names)
    check_pairing(tiny(*CHOICE), data, names)


def test_words_of_a_long_text_are_tagged_in_the_windows_of_the_test() -> None:
    model: Any = tiny(*CHOICE, "init=normal", "init.std=0.3")  # it reads 16 bytes
    task, words = model.task, [f"w{i}" for i in range(30)]
    text = " ".join(words)
    ids, starts = task.vocabulary.encode_with_starts(text)
    first = {sum(len(word) + 1 for word in words[:i]): i for i in range(len(words))}
    tags = np.array([first.get(int(start), -100) for start in starts])
    wanted = [""] * len(words)
    for part in windowed(Tagged(ids, tags), 0, model.max_len):
        batch = TagRows(pad_id=256)([part], [0])
        guesses = task.head(model.features(batch))[0].argmax(dim=-1)
        for tag, guess in zip(part.tags.tolist(), guesses.tolist(), strict=True):
            if tag >= 0:
                wanted[tag] = task.labels[guess]
    assert len(set(wanted)) > 1
    assert list(task.predict_words(model, [words, []], PredictOptions())) == [wanted, []]
    (prediction,) = task.predict(model, [f" {text} "], PredictOptions())
    assert prediction.result() == list(zip(words, wanted, strict=True))
