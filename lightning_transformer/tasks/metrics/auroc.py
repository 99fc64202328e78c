"""The area under the ROC curve."""

from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor
from torchmetrics import Metric


class Auroc(Metric):
    """The chance that an example of a class has a higher score for it than another example.

        mean over classes c of P(s_c(x) > s_c(y)) + P(s_c(x) = s_c(y)) / 2, x of c and y not

    That is the area under the curve of each class against the rest (Hand & Till 2001 compare
    others), without bins. Classes without an example, or with all of them, are left out.
    """

    scores: list[Tensor]  # (n, C)
    labels: list[Tensor]  # (n,)

    def __init__(self) -> None:
        super().__init__()
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Add scores (N, C), of which higher ones speak for a class, and classes (N,) long."""
        self.scores.append(scores.float())
        self.labels.append(labels)

    def compute(self) -> Tensor:
        """0-d float64 on the host; NaN where no class has both kinds of example."""
        states: tuple[Any, Any] = (self.scores, self.labels)
        if not len(states[0]):
            return torch.tensor(torch.nan, dtype=torch.float64)
        scores, labels = (
            (x if isinstance(x, Tensor) else torch.cat([*x])).cpu().numpy() for x in states
        )
        if not np.isfinite(scores).all():
            return torch.tensor(torch.nan, dtype=torch.float64)
        areas = [
            _area(scores[:, c], labels == c)
            for c in range(scores.shape[1])
            if 0 < (labels == c).sum() < len(labels)
        ]
        return torch.tensor(np.mean(areas) if areas else np.nan, dtype=torch.float64)


def _area(scores: np.ndarray, positive: np.ndarray) -> float:
    """By the sum of ranks (Mann & Whitney 1947)."""
    n = int(positive.sum())
    above = rankdata(scores)[positive].sum() - n * (n + 1) / 2
    return float(above / (n * (len(scores) - n)))
