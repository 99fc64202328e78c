from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

from lightning_transformer.decoding.next_scores import NextScores
from tests.unit.decoding.table_model import END, TableModel


def test_the_penalty_is_that_of_hugging_face_but_for_the_end() -> None:
    rows = [np.array([0, 2]), np.array([1, 1])]
    rule = NextScores(TableModel(1), rows, repetition_penalty=1.7)
    rule.note(torch.tensor([2, END]))
    scores = torch.tensor([[1.0, -2.0, 3.0, 0.5], [-1.0, 2.0, -3.0, -0.5]])
    theirs = transformers.RepetitionPenaltyLogitsProcessor(1.7)
    ids = torch.tensor([[0, 2, 2], [1, 1, 1]])
    torch.testing.assert_close(rule.allowed(scores), theirs(ids, scores.clone()))
    rule.select(torch.tensor([1, 1]))
    assert torch.equal(rule.allowed(scores)[1], theirs(ids, scores.clone())[1])


@pytest.mark.parametrize("source", [False, True])
def test_a_source_is_no_part_of_what_is_written(source: bool) -> None:
    model = TableModel(1)
    model.has_source = source
    rule = NextScores(model, [np.array([0])], repetition_penalty=2.0)
    found = rule.allowed(torch.ones(1, 4))
    assert found.tolist() == [[1.0 if source else 0.5, 1.0, 1.0, 1.0]]
