"""How many were right, place by place or length by length."""

import torch
from torch import Tensor
from torchmetrics import Metric


class Shares(Metric):
    """Counts of what was right, and of all, by a number from 0 on such as a place or a length.

    n: numbers that there can be; higher ones count as the last.
    """

    counts: Tensor  # (n, 2): right, all

    def __init__(self, n: int) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(n, 2, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, numbers: Tensor, right: Tensor, counted: Tensor) -> None:
        """Add numbers (N,) long with whether each was right, and whether it counts, (N,) bool."""
        numbers = numbers.clamp(max=len(self.counts) - 1)
        table = torch.stack([right & counted, counted], dim=1).long()
        self.counts.index_add_(0, numbers, table)

    def compute(self) -> Tensor:
        """(n, 2) long."""
        return self.counts
