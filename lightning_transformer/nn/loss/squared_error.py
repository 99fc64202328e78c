"""Squared error of numbers."""

import torch
from torch import Tensor, nn

from lightning_transformer.nn.loss.cross_entropy import LossSums


class SquaredError(nn.Module):
    """(score - label)^2, summed over rows: up to constants -log p of a normal distribution.

    Computed in float32 at least. Shape: scores (N,), labels (N,) float -> LossSums, in the square
    of the labels' unit.
    """

    def forward(self, scores: Tensor, labels: Tensor) -> LossSums:
        total = self.each(scores, labels).sum()
        return LossSums(total, total.detach())

    def each(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The squared error of each row, (N,)."""
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        return (scores - labels).square()
