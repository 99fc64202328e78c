"""task.softcap: training, evaluation and generation see the same, capped, scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.decoding.decode import greedy, stream_tokens
from tests.conftest import compose_config, tiny
from tests.unit.tasks.drawn import drawn_batch

CAP = 1.5
# Weights so large that the cap is felt.
LOUD = ("tie_embeddings=false", "init=normal", "init.std=0.4", "init.embedding_std=1.0")
MODELS = {"causal_lm": "decoder_only", "masked_lm": "encoder_only", "seq2seq": "encoder_decoder"}


def loud(task: str, *overrides: str) -> Any:
    return tiny(f"model={MODELS[task]}", f"task={task}", *LOUD, *overrides)


def capped(model: Any, features: Tensor) -> Tensor:
    """The formula, from the weights of a model."""
    scores = features @ model.task.head.weight.T
    assert scores.abs().max() > CAP
    return CAP * torch.tanh(scores / CAP)


@pytest.mark.parametrize("task", MODELS)
def test_training_and_evaluation_see_capped_scores(task: str) -> None:
    model, plain = loud(task, f"task.softcap={CAP}"), loud(task)
    assert list(model.state_dict()) == list(plain.state_dict())
    batch = drawn_batch(model.task)
    with torch.no_grad():
        features = model(batch)
        scores = capped(model, features).flatten(0, 1)
        wanted = nn.functional.cross_entropy(scores, batch.labels.flatten(), reduction="sum")
        sums = model.task(features, batch)
        metrics = nn.ModuleDict(model.task.metrics())
        model.task.update(metrics, features, batch)
        value = metrics["loss"].compute()  # type: ignore[operator]
        other = plain.task(plain(batch), batch).objective
    torch.testing.assert_close(sums.objective, wanted, rtol=1e-12, atol=0)
    torch.testing.assert_close(sums.nll, wanted, rtol=1e-12, atol=0)
    torch.testing.assert_close(value, wanted / batch.n_targets, rtol=1e-12, atol=0)
    assert abs(other - wanted) > 1


@pytest.mark.parametrize("task", ["causal_lm", "seq2seq"])
def test_generation_sees_capped_scores(task: str) -> None:
    model = loud(task, f"task.softcap={CAP}")
    seen: list[Tensor] = []

    def watched(scores: Tensor) -> Tensor:
        seen.append(scores)
        return greedy(scores)

    rows = [np.array([65, 66, 67]), np.array([70, 71, 72])]
    for _ in stream_tokens(model, rows, max_new_tokens=3, sampler=watched):
        pass
    text = torch.stack([scores[:, :256] for scores in seen])
    assert 0.9 * CAP < text.abs().max() < CAP
    with torch.no_grad():
        state, ids, padding = model.begin(rows)
        wanted = capped(model, model.decode(ids, state, padding)[:, -1])
    torch.testing.assert_close(seen[0][:, :256], wanted[:, :256], rtol=0, atol=1e-6)


def test_no_cap_is_the_default() -> None:
    for task, model in MODELS.items():
        assert compose_config(f"model={model}", f"task={task}").task.softcap is None


def test_refused_by_its_key() -> None:
    with pytest.raises(ValueError, match=r"^task.softcap=0 must be a positive number") as caught:
        tiny("task.softcap=0")
    assert "\n" not in str(caught.value)
