"""A mean over a whole split and all ranks."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from lightning_transformer.tasks.metrics.exact_sum import exact_sum, parts_of


class Mean(Metric):
    """total / count over all batches and ranks, added up in float64 on the host; a NaN stays one.

    The totals of batches stay on the device until `compute`, so that no batch waits and a device
    needs no float64. torchmetrics' own mean leaves NaN out with a warning, so that a model which
    diverged on one batch looks well; and it adds up in float32.
    """

    totals: list[Tensor]
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("totals", [], dist_reduce_fx="cat")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, total: Tensor | float, count: Tensor | int) -> None:
        """Add the sum of a batch and how many there were of what is averaged, both numbers."""
        self.totals.append(parts_of(torch.as_tensor(total, device=self.device)))
        self.count += count

    def compute(self) -> Tensor:
        """0-d float64 on the host; NaN of nothing."""
        totals: Any = self.totals  # one tensor where those of several processes were put together
        parts = [totals] if isinstance(totals, Tensor) else totals
        return torch.tensor(exact_sum(parts), dtype=torch.float64) / int(self.count)
