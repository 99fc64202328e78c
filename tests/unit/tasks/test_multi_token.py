"""task=multi_token."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.data.examples import Tokens
from lightning_transformer.decoding.decode import generate_tokens
from lightning_transformer.models.size import measure
from lightning_transformer.optim.param_groups import matrices
from lightning_transformer.tasks.base import IGNORE, Batch
from lightning_transformer.tasks.multi_token import MultiToken, one_further
from tests.conftest import noise, tiny
from tests.unit.tasks.drawn import drawn_batch

LOUD = ("init=normal", "init.std=0.4", "init.embedding_std=1.0")
NUMBERS = [[0, 0, 0, 0, 1, 1, 1, 2], [5, 5, 6, 6, 6, 6, 6, 6]]


def small_options(folder: Path) -> dict[str, Any]:
    """Two tokens ahead: the four of the default take more steps to be learned by heart."""
    return {"n_future": 2}


def loud(n_future: int = 3, *overrides: str) -> Any:
    return tiny("task=multi_token", f"task.n_future={n_future}", *LOUD, *overrides)


def two_rows(task: MultiToken, documents: bool) -> Batch:
    ids = torch.randint(97, 123, (2, 8), generator=torch.Generator().manual_seed(3)).numpy()
    rows = [
        Tokens(row, np.array(numbers) if documents else None)
        for row, numbers in zip(ids, NUMBERS, strict=True)
    ]
    return task.collator("train")(rows, [0, 0])


def nll(scores: list[float], label: int) -> float:
    return math.log(sum(map(math.exp, scores))) - scores[label]


def by_hand(model: Any, features: Tensor, batch: Batch, weight: float) -> tuple[float, float]:
    """Objective and plain loss, one target after the other, from the tokens of the rows."""
    ids = torch.cat((batch.input_ids, batch.labels[:, -1:]), dim=1)
    head = model.task.head.weight
    first, further = 0.0, 0.0
    for row in range(ids.shape[0]):
        numbers = NUMBERS[row] if batch.documents is not None else [0] * 8
        for t in range(7):
            for k in range(1, 1 + model.task.head_uses):
                # The target k places on is one of the document of the input just before it.
                if t + k >= 8 or numbers[t + k - 1] != numbers[t]:
                    continue
                h = features[row, t]
                h = h if k == 1 else model.task.future[k - 2].weight @ h
                lost = nll((head @ h).tolist(), int(ids[row, t + k]))
                first, further = (first + lost, further) if k == 1 else (first, further + lost)
    return first + weight * further, first


@pytest.mark.parametrize("documents", [False, True])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_objective_target_by_target(documents: bool, weight: float) -> None:
    model = loud(3, f"task.future_weight={weight}")
    batch = two_rows(model.task, documents)
    features = noise(2, 7, 32)
    with torch.no_grad():
        sums = model.task(features, batch)
        wanted, plain = by_hand(model, features, batch, weight)
    assert sums.objective.item() == pytest.approx(wanted, rel=1e-12)
    assert sums.nll.item() == pytest.approx(plain, rel=1e-12)
    assert wanted > 1.2 * plain


def test_gradient_is_that_of_the_objective() -> None:
    model = loud(3)
    batch = two_rows(model.task, True)

    def objective(features: Tensor) -> Tensor:
        return model.task(features, batch).objective

    assert torch.autograd.gradcheck(objective, noise(2, 7, 32).requires_grad_())
    objective(noise(2, 7, 32)).backward()
    assert all(layer.weight.grad.any() for layer in model.task.future)


def test_one_token_is_the_plain_task_bit_by_bit() -> None:
    one, plain = loud(1), tiny("task=causal_lm", *LOUD)
    assert list(one.state_dict()) == list(plain.state_dict())
    batch = drawn_batch(plain.task)
    for model in (one, plain):
        model.task(model(batch), batch).objective.backward()
    for a, b in zip(one.parameters(), plain.parameters(), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a.grad, b.grad)


def test_weights_shared_with_the_plain_task_begin_alike() -> None:
    more, plain = loud(4).state_dict(), tiny("task=causal_lm", *LOUD).state_dict()
    assert all(torch.equal(more[name], weight) for name, weight in plain.items())
    new = [name for name in more if name not in plain]
    assert new == [f"task.future.{i}.weight" for i in range(3)]
    assert not torch.equal(more[new[0]], more[new[1]])


def test_metrics_and_generation_are_those_of_the_next_token() -> None:
    model, plain = loud(4), tiny("task=causal_lm", *LOUD)
    batch = drawn_batch(model.task)
    values = []
    for one in (model, plain):
        metrics = nn.ModuleDict(one.task.metrics())
        with torch.no_grad():
            one.task.update(metrics, one(batch), batch)
        values.append(one.task.compute(metrics))
    assert values[0] == values[1]
    prompts = [np.array([65, 66, 67])]
    said = generate_tokens(model, prompts, max_new_tokens=5)
    assert said == generate_tokens(plain, prompts, max_new_tokens=5)


def test_smoothing_and_softcap_reach_the_further_heads() -> None:
    batch = two_rows(loud(2).task, False)
    features = noise(2, 7, 32)
    sums = [
        loud(2, *options).task(features, batch)
        for options in ([], ["loss.label_smoothing=0.1"], ["task.softcap=1.0"])
    ]
    extra = [float((s.objective - s.nll).detach()) for s in sums]
    assert extra[1] != pytest.approx(extra[0], rel=1e-3)
    assert extra[2] != pytest.approx(extra[0], rel=1e-3)


def test_labels_one_further() -> None:
    labels = torch.tensor([[1, 2, IGNORE, 4, 5]])
    further = one_further(labels)
    assert further.tolist() == [[2, IGNORE, IGNORE, 5, IGNORE]]
    assert one_further(further).tolist() == [[IGNORE] * 5]


def test_size_counts_every_use_of_the_head() -> None:
    more, plain = measure(loud(3), 16), measure(tiny(), 16)
    assert more.n_params - plain.n_params == 2 * 32 * 32
    forward = 2 * (2 * 32 * 32 + 2 * 262 * 32)
    assert more.flops_per_token - plain.flops_per_token == pytest.approx(3 * forward, rel=1e-9)


def test_the_further_heads_are_hidden_matrices() -> None:
    model = loud(3)
    hidden = {id(weight) for weight in matrices(model)}
    assert {id(layer.weight) for layer in model.task.future} <= hidden


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("task.n_future=0", "task.n_future=0 must be at least 1"),
        ("task.n_future=17", "task.n_future=17 must be at most 16"),
        ("task.future_weight=0.0", "task.future_weight=0.0 must be a positive number"),
    ],
)
def test_refuses(override: str, line: str) -> None:
    with pytest.raises(ValueError, match=f"^{line}") as caught:
        tiny("task=multi_token", override)
    assert "\n" not in str(caught.value)
