"""The loss of each row of a split."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

IGNORE = -100  # a label that counts nowhere


class RowLosses(Metric):
    """The loss of each example of a split: what a bootstrap over the test set draws from.

    Rank r of n has seen the examples r, r + n, .., as EvaluationLoader hands them out.
    """

    losses: list[Tensor]
    counts: list[Tensor]
    numbers: list[Tensor]

    def __init__(self, rank: int, world_size: int) -> None:
        super().__init__()
        self._next, self._world_size = rank, world_size
        for name in ("losses", "counts", "numbers"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, scores: Tensor, labels: Tensor, n_rows: int) -> None:
        """Add a batch. scores (N, V), labels (N,) long, -100 = no target; n_rows divides N."""
        scores = scores if scores.dtype == torch.float64 else scores.float()
        nll = F.cross_entropy(scores, labels, reduction="none", ignore_index=IGNORE)
        self.losses.append(nll.view(n_rows, -1).sum(dim=1).float())
        self.counts.append((labels != IGNORE).view(n_rows, -1).sum(dim=1))
        end = self._next + n_rows * self._world_size
        self.numbers.append(torch.arange(self._next, end, self._world_size, device=labels.device))
        self._next = end

    def compute(self) -> np.ndarray:
        """(n,) of (loss float32: sum in nats, count int32: targets), in the order of the split."""
        losses, counts, numbers = (
            (torch.cat(state) if isinstance(state, list) else state).cpu().numpy()
            for state in (self.losses, self.counts, self.numbers)
        )
        # Processes that share the layers of one model have seen the same examples.
        first = np.unique(numbers, return_index=True)[1]
        rows = np.empty(len(first), dtype=[("loss", "f4"), ("count", "i4")])
        rows["loss"], rows["count"] = losses[first], counts[first]
        return rows
