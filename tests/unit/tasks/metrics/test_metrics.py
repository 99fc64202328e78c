"""Metrics do not depend on how a split is cut into batches; loss is the mean over targets."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.tasks.base import IGNORE, Batch, Task
from tests.conftest import noise, options, tiny
from tests.helpers.variants import content, model_of
from tests.unit.tasks.drawn import examples


def batch_of(task: Task, n: int) -> Batch:
    """A batch of n examples in which each row of features is of one example."""
    batch = task.collator("val")(examples(task.example, n), list(range(n)))
    if batch.responses is not None:
        pytest.skip("several rows make one score; the tests of the task itself")
    return batch


def task_of(option: str) -> Task:
    more = ["task.n_generated=0"] if "n_generated" in content("task", option) else []
    return tiny(f"model={model_of(option)}", f"task={option}", *more).task


def cut(batch: Batch, first: int, last: int) -> Batch:
    """Rows first .. last - 1, as a collator would have made them but for the width."""
    parts = [x[first:last] if isinstance(x, Tensor) and x.ndim else x for x in batch]
    part = Batch(*parts)
    return part._replace(n_targets=(part.labels != IGNORE).sum())


def metrics_of(
    task: Task, batch: Batch, features: torch.Tensor, cuts: list[int]
) -> dict[str, float]:
    metrics = nn.ModuleDict(task.metrics())
    for first, last in itertools.pairwise(cuts):
        task.update(metrics, features[first:last], cut(batch, first, last))
    return {name: float(value) for name, value in task.compute(metrics).items()}


@pytest.mark.parametrize("option", options("task"))
def test_a_short_last_batch_counts_by_its_targets(option: str) -> None:
    task = task_of(option)
    batch = batch_of(task, 12)
    features = 3 * noise(*batch.input_ids.shape, 32)
    with torch.no_grad():
        whole = metrics_of(task, batch, features, [0, 12])
        pieces = metrics_of(task, batch, features, [0, 5, 10, 11, 12])
    assert pieces == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("option", options("task"))
def test_loss_is_the_mean_of_the_targets_and_blind_to_smoothing(option: str) -> None:
    task = task_of(option)
    batch = batch_of(task, 6)
    features = noise(*batch.input_ids.shape, 32)
    scores, labels = task.scores(features, batch)
    if labels.is_floating_point():
        pytest.skip("a number has no class; tests/unit/tasks/test_regression.py")
    if labels.shape == scores.shape:
        pytest.skip("each label by itself; tests/unit/tasks/test_multi_label.py")
    real = labels != IGNORE
    nll = -scores.log_softmax(-1)[real].gather(1, labels[real][:, None])
    task.loss.label_smoothing, task.loss.z_loss = 0.1, 0.01
    with torch.no_grad():
        loss = metrics_of(task, batch, features, [0, 6])["loss"]
    assert loss == pytest.approx(float(nll.detach().mean()), rel=1e-9)
    assert int(batch.n_targets) == int(real.sum())


@pytest.mark.parametrize("option", options("task"))
def test_the_level_of_guessing_is_what_a_head_that_knows_nothing_reaches(option: str) -> None:
    """Equal scores for all outputs: log V nats, whatever the features are."""
    task = task_of(option)
    batch = batch_of(task, 12)
    for weight in task.head.parameters():
        nn.init.zeros_(weight)
    with torch.no_grad():
        found = metrics_of(task, batch, noise(*batch.input_ids.shape, 32), [0, 12])
    chance = task.chance()
    if not chance:
        pytest.skip("what guessing reaches depends on the data")
    assert chance["loss"] == pytest.approx(found["loss"], rel=1e-9)
    assert set(chance) <= set(found)
    if "perplexity" in chance:
        assert chance["perplexity"] == pytest.approx(found["perplexity"], rel=1e-9)
    if "accuracy" in chance:
        assert chance["accuracy"] == pytest.approx(math.exp(-chance["loss"]), rel=1e-9)


@pytest.mark.parametrize("option", options("task"))
def test_a_batch_without_targets_changes_no_metric(option: str) -> None:
    task = task_of(option)
    batch = task.collator("val")(examples(task.example, 6), list(range(6)))
    if batch.labels.shape[1:] != batch.input_ids.shape[1:]:
        pytest.skip("each row has its target")
    features = noise(*batch.input_ids.shape, 32)
    metrics = nn.ModuleDict(task.metrics())
    with torch.no_grad():
        task.update(metrics, features, batch)
        before = {n: float(v) for n, v in task.compute(metrics).items()}
        empty = batch._replace(
            labels=torch.full_like(batch.labels, IGNORE), n_targets=torch.tensor(0)
        )
        task.update(metrics, features, empty)
        after = {n: float(v) for n, v in task.compute(metrics).items()}
    assert after == before


@pytest.mark.parametrize("option", options("task"))
def test_a_diverged_batch_is_not_left_out(option: str) -> None:
    task = task_of(option)
    batch = batch_of(task, 6)
    features = noise(*batch.input_ids.shape, 32)
    features[4:] = float("nan")
    with torch.no_grad():
        values = metrics_of(task, batch, features, [0, 4, 6])
    assert math.isnan(values["loss"])
