"""Rows of prompts and responses, and the log-probabilities of these."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lightning_transformer.tasks import responses
from lightning_transformer.tasks.base import Batch
from lightning_transformer.tasks.responses import are_greedy, join_responses, response_log_probs
from tests.conftest import tiny

PROMPTS = [np.array([10, 11]), np.array([12])]
ANSWERS = [np.array([20, 21, 22]), np.array([23])]


def joined(model: Any) -> Any:
    words = model.task.vocabulary
    labels = [np.append(answer, words.eos_id) for answer in ANSWERS]
    return join_responses(PROMPTS, labels, ANSWERS, words.pad_id, words.before)


def test_prompt_and_response_are_joined_as_ids() -> None:
    rows = join_responses(PROMPTS, [np.append(a, 1) for a in ANSWERS], ANSWERS, 0, (7,))
    assert rows.input_ids.tolist() == [[7, 10, 11, 20, 21, 22], [7, 12, 23, 0, 0, 0]]
    ignored = -100
    assert rows.labels.tolist() == [
        [ignored, ignored, 20, 21, 22, 1],
        [ignored, 23, 1, *[ignored] * 3],
    ]
    assert rows.places is not None
    assert rows.places.tolist() == [2, 3, 4, 5, 7, 8]
    assert rows.n_tokens == 9


@pytest.mark.parametrize("softcap", ["null", "5.0"])
def test_log_probabilities_are_those_of_one_token_after_another(softcap: str) -> None:
    """Against a float64 loop that reads each beginning of a row by itself."""
    model: Any = tiny("task=instruct", f"output_layer.softcap={softcap}")
    rows = joined(model)
    batch = Batch(rows.input_ids, rows.labels, torch.tensor(6), rows.n_tokens)
    found = response_log_probs(model.task, model.features(batch), rows.labels, rows.places)
    eos = model.task.vocabulary.eos_id
    for i, (prompt, answer) in enumerate(zip(PROMPTS, ANSWERS, strict=True)):
        ids, expected = prompt.tolist(), []
        for token in [*answer.tolist(), eos]:
            row = Batch.without_labels(torch.tensor([ids]))
            scores = model.task.head(model.features(row)[0, -1])
            expected.append(float(scores.log_softmax(dim=-1)[token].detach()))
            ids.append(token)
        start = len(prompt) - 1
        given = found.tokens[i, start : start + len(expected)].tolist()
        assert given == pytest.approx(expected, rel=1e-9)
        assert float(found.sums[i].detach()) == pytest.approx(sum(expected), rel=1e-9)
    assert found.counts.tolist() == [4, 2]
    assert found.tokens[1, 2:].tolist() == [0.0] * 3


@pytest.mark.parametrize("with_places", [True, False])
def test_parts_give_the_same_sums_and_gradients(
    with_places: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = tiny("task=instruct")
    rows = joined(model)
    places = rows.places if with_places else None
    batch = Batch(rows.input_ids, rows.labels, torch.tensor(6), rows.n_tokens)

    def found() -> tuple[torch.Tensor, list[torch.Tensor]]:
        model.zero_grad()
        sums = response_log_probs(model.task, model.features(batch), rows.labels, places).sums
        (sums * torch.tensor([1.0, -2.0])).sum().backward()
        return sums.detach(), [p.grad.clone() for p in model.parameters()]

    whole = found()
    monkeypatch.setattr(responses, "rows_at_a_time", lambda n_classes: 2)
    parts = found()
    torch.testing.assert_close(parts[0], whole[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(parts[1], whole[1], rtol=1e-10, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("with_places", [True, False])
def test_responses_are_greedy_where_each_token_is_the_likeliest(with_places: bool) -> None:
    model: Any = tiny("task=instruct")
    row, said = [10, 11], []
    for _ in range(3):
        batch = Batch.without_labels(torch.tensor([row]))
        said.append(int(model.task.head(model.features(batch)[0, -1]).argmax()))
        row.append(said[-1])
    other = [said[0], said[1] + 1, said[2]]
    answers = [np.array(said[:2])] * 2
    rows = join_responses([np.array([10, 11])] * 2, [np.array(said), np.array(other)], answers, 0)
    batch = Batch(rows.input_ids, rows.labels, torch.tensor(6), rows.n_tokens)
    places = rows.places if with_places else None
    found = are_greedy(model.task, model.features(batch), rows.labels, places)
    assert found.tolist() == [True, False]
