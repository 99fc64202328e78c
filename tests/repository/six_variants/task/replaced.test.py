"""task=replaced."""

from __future__ import annotations

import numpy as np
import torch

from lightning_transformer.data.examples import Tokens
from lightning_transformer.tasks.base import IGNORE
from lightning_transformer.tasks.predict import PredictOptions
from lightning_transformer.tasks.replaced import ReplaceTokens
from tests.conftest import tiny

CHOICE = ("model=encoder_only", "task=replaced")


def test_labels_are_where_a_token_changed() -> None:
    rows = np.random.default_rng(0).integers(0, 100, (50, 201))
    batch = ReplaceTokens(0.3, pad_id=100, n_text=100)([Tokens(row) for row in rows], range(50))
    original = torch.from_numpy(rows[:, :-1])
    assert torch.equal(batch.labels, (batch.input_ids != original).long())
    assert abs(float(batch.labels.float().mean()) - 0.3 * 0.99) < 0.02
    assert int(batch.n_targets) == 10_000


def test_special_tokens_and_pads_are_no_targets() -> None:
    collate = ReplaceTokens(0.5, pad_id=100, n_text=100)
    batch = collate([Tokens(np.array([1, 102, 3, 4])), Tokens(np.array([5, 6]))], [0, 1])
    assert (batch.labels == IGNORE).tolist() == [[False, True, False], [False, True, True]]
    assert batch.input_ids[0, 1] == 102


def test_what_seems_replaced_is_masked() -> None:
    model = tiny(*CHOICE)
    torch.nn.init.zeros_(model.task.head.weight)
    for label, wanted in ((0, "abc"), (1, "[MASK]" * 3)):
        model.task.head.weight.data.zero_()
        model.task.head.bias.data.copy_(torch.nn.functional.one_hot(torch.tensor(label), 2))
        (said,) = model.task.predict(model, ["abc"], PredictOptions())
        assert said.result() == wanted
