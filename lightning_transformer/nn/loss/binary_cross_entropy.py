"""Cross-entropy of decisions between yes and no."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn.loss.cross_entropy import LossSums


class BinaryCrossEntropy(nn.Module):
    """-log sigmoid(score) where the label is 1, -log sigmoid(-score) where it is 0, summed.

    Computed in float32 at least. Shape: scores (N, C), labels (N, C) of 0 and 1 -> LossSums, nats.
    """

    def forward(self, scores: Tensor, labels: Tensor) -> LossSums:
        total = self.each(scores, labels).sum()
        return LossSums(total, total.detach())

    def each(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The loss of each decision, (N, C)."""
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        return F.binary_cross_entropy_with_logits(scores, labels.to(scores.dtype), reduction="none")
