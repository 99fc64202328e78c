"""The mean training loss between two logs, without waiting for the device at any step."""

import torch
from torch import Tensor


class RunningLoss:
    """The training loss since it was last taken, summed on the device so that no step waits."""

    def __init__(self, device: torch.device) -> None:
        self._nll = torch.zeros((), dtype=torch.float64, device=device)
        self._targets = torch.zeros((), dtype=torch.int64, device=device)

    def add(self, nll: Tensor, n_targets: Tensor) -> None:
        """Add one micro-batch: the sum of its losses and the number of its targets."""
        self._nll += nll
        self._targets += n_targets

    def take(self) -> Tensor:
        """Return (2,) float64 nats and targets, and start anew."""
        sums = torch.stack((self._nll, self._targets.double()))
        self._nll.zero_()
        self._targets.zero_()
        return sums
