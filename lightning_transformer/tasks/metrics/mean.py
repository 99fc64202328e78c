"""A mean over a whole split and all ranks."""

import torch
from torch import Tensor
from torchmetrics import Metric


class Mean(Metric):
    """total / count over all batches and ranks, in float64; a NaN stays one.

    torchmetrics' own mean leaves NaN out with a warning, so that a model which diverged on one
    batch looks well; and it rounds to float32 once it has been moved to a device.
    """

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("total", "count"):
            zero = torch.zeros((), dtype=torch.float64)
            self.add_state(name, zero, dist_reduce_fx="sum")

    def update(self, total: Tensor | float, count: Tensor | int) -> None:
        """Add the sum of a batch and how many there were of what is averaged, both numbers."""
        self.total += total
        self.count += count

    def compute(self) -> Tensor:
        """0-d float64; NaN of nothing."""
        return self.total / self.count
