"""Every task on disk keeps its contract: its batches, its loss, and an answer for each text.

That pads change nothing is invariant 3, that one batch can be overfitted is in test_training, that
metrics are exact over any cut is in tests/unit/tasks/metrics.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.base import IGNORE, Sample
from lightning_transformer.tasks.predict import PredictOptions
from tests.conftest import options, tiny
from tests.helpers.variants import model_of, small
from tests.unit.tasks.drawn import examples

TASKS = options("task")
# Of unequal length, one of them empty; a task that fills gaps finds one in each of the others.
TEXTS = ["the [MASK]at", "a [MASK]", "", "an old [MASK]"]


@pytest.fixture(scope="module", params=TASKS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Transformer:
    folder: Path = tmp_path_factory.mktemp("files")
    task = request.param
    return tiny(f"model={model_of(task)}", f"task={task}", *small("task", task, folder))


@pytest.mark.parametrize("split", ["train", "val"])
def test_batches_follow_from_examples_and_draws(model: Transformer, split: str) -> None:
    rows, draws = examples(model.task.example, 5, seed=2), [3, 1, 4, 1, 5]
    collate = model.task.collator(split)
    batch, again = collate(rows, draws), pickle.loads(pickle.dumps(collate))(rows, draws)
    for one, other in zip(batch, again, strict=True):
        assert torch.equal(one, other) if isinstance(one, Tensor) else one == other
    assert len(batch.labels) == 5
    assert len(batch.input_ids) in (5, 10)  # a row of each example, or of both its answers
    assert batch.input_ids.shape[1] <= model.max_len
    assert batch.input_ids.min() >= 0
    assert batch.input_ids.max() < model.task.vocabulary.size
    assert int(batch.n_targets) == int((batch.labels != IGNORE).sum()) > 0
    assert batch.n_tokens > 0


def test_the_loss_is_finite_and_has_a_gradient_for_each_weight(model: Transformer) -> None:
    batch = model.task.collator("train")(examples(model.task.example, 8, seed=2), list(range(8)))
    model.zero_grad()
    sums = model.task(model.features(batch), batch)
    assert sums.objective.isfinite()
    assert sums.nll > 0
    sums.objective.backward()
    for name, parameter in model.task.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_the_metric_loss_is_the_mean_over_targets(model: Transformer) -> None:
    batch = model.task.collator("val")(examples(model.task.example, 8, seed=2), list(range(8)))
    metrics = nn.ModuleDict(model.task.metrics())
    with torch.no_grad():
        features = model.features(batch)
        model.task.update(metrics, features, batch)
        nll = model.task(features, batch).nll
    loss = float(model.task.compute(metrics)["loss"])
    assert loss == pytest.approx(float(nll / batch.n_targets), rel=1e-12)


def test_each_text_has_an_answer_that_does_not_depend_on_the_others(model: Transformer) -> None:
    asked = PredictOptions(max_new_tokens=4, temperature=0.0)
    answers = [found.result() for found in model.task.predict(model, TEXTS, asked)]
    assert len(answers) == len(TEXTS)
    alone = [next(iter(model.task.predict(model, [text], asked))).result() for text in TEXTS]
    for together, by_itself in zip(answers, alone, strict=True):
        if isinstance(together, float):  # a larger batch is summed in another order
            assert together == pytest.approx(by_itself, rel=1e-9)
        else:
            assert kind_and_text(together) == kind_and_text(by_itself)


def kind_and_text(answer: object) -> object:
    """An answer without the last digits of a probability."""
    return [str(part)[:9] for part in answer] if isinstance(answer, tuple) else answer


def test_each_example_has_a_sample_to_read(model: Transformer) -> None:
    samples = model.task.demonstrate(model, examples(model.task.example, 3, seed=4))
    assert len(samples) == 3
    for sample in samples:
        assert isinstance(sample, Sample)
        assert sample.given
