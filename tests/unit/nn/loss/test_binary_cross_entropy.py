"""Binary cross-entropy against torch's."""

from __future__ import annotations

import torch

from lightning_transformer.nn.loss.binary_cross_entropy import BinaryCrossEntropy
from tests.conftest import noise


def test_sum_is_torchs_and_the_gradient_that_of_sigmoid() -> None:
    scores = (3 * noise(5, 4)).requires_grad_()
    labels = (noise(5, 4, seed=1) > 0).long()
    sums = BinaryCrossEntropy()(scores, labels)
    p = scores.sigmoid()
    by_hand = -(torch.where(labels == 1, p, 1 - p).log()).sum()
    torch.testing.assert_close(sums.objective, by_hand, rtol=1e-12, atol=0)
    torch.testing.assert_close(sums.nll, by_hand.detach(), rtol=1e-12, atol=0)
    assert not sums.nll.requires_grad
    sums.objective.backward()
    torch.testing.assert_close(scores.grad, (p - labels).detach(), rtol=1e-12, atol=1e-15)


def test_large_scores_in_half_precision_are_finite() -> None:
    scores = torch.tensor([[200.0, -200.0]], dtype=torch.bfloat16)
    sums = BinaryCrossEntropy()(scores, torch.tensor([[0, 0]]))
    assert sums.objective.dtype == torch.float32
    assert float(sums.objective) == 200.0
