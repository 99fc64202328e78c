"""The loss of task=regression."""

from __future__ import annotations

import torch

from lightning_transformer.nn.loss.squared_error import SquaredError
from tests.conftest import noise


def test_is_the_sum_that_torch_gives() -> None:
    scores, labels = noise(7).requires_grad_(), noise(7, seed=1)
    sums = SquaredError()(scores, labels)
    wanted = torch.nn.functional.mse_loss(scores, labels, reduction="sum")
    assert torch.equal(sums.objective, wanted)
    assert not sums.nll.requires_grad
    assert SquaredError().each(torch.tensor([3.0]), torch.tensor([1.0])).tolist() == [4.0]


def test_is_computed_in_float32_at_least() -> None:
    scores = torch.tensor([1.0078125], dtype=torch.bfloat16)
    assert SquaredError().each(scores, torch.tensor([1.0])).tolist() == [0.0078125**2]
