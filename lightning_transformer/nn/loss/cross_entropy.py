"""Cross-entropy with label smoothing and z-loss."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn import checks


class LossSums(NamedTuple):
    """Sums over the targets of a batch, 0-d float32; in nats, or in the unit that the loss says.

    objective is what is minimised; nll is the plain negative log-likelihood, the number that stays
    comparable whatever the objective adds to it.
    """

    objective: Tensor
    nll: Tensor


class CrossEntropy(nn.Module):
    """Cross-entropy, summed over targets, with label smoothing and z-loss.

    Per target y with scores z over V classes, p = softmax(z), e = label_smoothing:
        (1 - e) * -log p_y + e / V * sum_v -log p_v + z_loss * logsumexp(z)^2
    (Szegedy et al. 2016; Chowdhery et al. 2022). Labels of -100 count nowhere. Computed in float32.

    Shape: scores (N, V), labels (N,) long -> LossSums.
    """

    def __init__(self, *, label_smoothing: float = 0.0, z_loss: float = 0.0) -> None:
        super().__init__()
        checks.fraction("label_smoothing", label_smoothing)
        checks.non_negative("z_loss", z_loss, 1e-4)
        self.label_smoothing, self.z_loss = label_smoothing, z_loss

    def forward(self, scores: Tensor, labels: Tensor) -> LossSums:
        scores = scores if scores.dtype == torch.float64 else scores.float()
        nll = F.cross_entropy(scores, labels, reduction="sum")
        if not self.label_smoothing and not self.z_loss:
            return LossSums(nll, nll.detach())
        objective = F.cross_entropy(
            scores, labels, reduction="sum", label_smoothing=self.label_smoothing
        )
        if self.z_loss:
            squared = scores.logsumexp(dim=-1).square()
            objective = objective + self.z_loss * squared[labels != -100].sum()
        return LossSums(objective, nll.detach())
