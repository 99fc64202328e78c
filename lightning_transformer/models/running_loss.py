"""The mean training loss between two logs, without waiting for the device at any step."""

import torch
from torch import Tensor

from lightning_transformer.tasks.metrics.exact_sum import exact_sum, parts_of

_MANY = 512  # losses that are kept apart; an allocation each


class RunningLoss:
    """The training losses since they were last taken: kept on the device, added up on the host."""

    def __init__(self) -> None:
        self._losses: list[Tensor] = []
        self._targets: Tensor | None = None
        self._last: tuple[Tensor, Tensor] | None = None

    def add(self, nll: Tensor, n_targets: Tensor) -> None:
        """Add one micro-batch: the sum of its losses and the number of its targets."""
        self._last = nll.detach(), n_targets
        self._losses.append(parts_of(nll))
        if len(self._losses) == _MANY:
            self._losses = [torch.cat(self._losses)]
        self._targets = n_targets if self._targets is None else self._targets + n_targets

    def take(self) -> tuple[float, int]:
        """Return nats and targets, and start anew; waits for the device."""
        nll = exact_sum(self._losses)
        targets = 0 if self._targets is None else int(self._targets)
        self._losses, self._targets = [], None
        return nll, targets

    def last(self) -> float | None:
        """Nats per target of the last micro-batch, if it has any; waits for the device."""
        if self._last is None:
            return None
        nll, n_targets = map(float, self._last)
        return nll / n_targets if n_targets else None
