"""Mean and standard deviation of the last accepted steps, kept on the device."""

from typing import Any

import torch
from torch import Tensor

from lightning_transformer.nn import checks


class Window:
    """The last `size` accepted pairs of values; says whether a new pair is a spike.

    spike = some value is not finite, or, once `after` pairs are accepted, above
    mean + sigmas * standard deviation of its kind. A spike does not enter the statistics. Nothing
    here waits for the device.
    """

    def __init__(self, size: int, sigmas: float, after: int) -> None:
        checks.at_least("guard.window", size, 2)
        checks.positive("guard.sigmas", sigmas, 6.0)
        checks.at_least("guard.after", after, 2)
        if after > size:
            raise ValueError(f"guard.after={after} must be at most guard.window={size}")
        self.sigmas, self.after = sigmas, after
        self._values = torch.zeros(2, size)
        self._n_accepted = torch.zeros((), dtype=torch.int64)
        self._places = torch.arange(size)

    def to(self, device: torch.device) -> None:
        """Keep everything on this device from now on."""
        self._values = self._values.to(device)
        self._n_accepted = self._n_accepted.to(device)
        self._places = self._places.to(device)

    def judge(self, first: Tensor, second: Tensor) -> Tensor:
        """0-d bool: whether this pair of 0-d values is a spike; if not, it is added."""
        new = torch.stack((first.detach().float(), second.detach().float()))
        held = (self._places < self._n_accepted).float()
        count = held.sum().clamp(min=1)
        mean = (self._values * held).sum(1) / count
        deviation = (((self._values - mean[:, None]) * held).square().sum(1) / count).sqrt()
        high = (new > mean + self.sigmas * deviation).any() & (self._n_accepted >= self.after)
        spike = high | ~new.isfinite().all()
        place = (self._places == self._n_accepted % len(self._places)) & ~spike
        self._values = torch.where(place, new[:, None], self._values)
        self._n_accepted = self._n_accepted + ~spike
        return spike

    def state_dict(self) -> dict[str, Any]:
        return {"values": self._values.cpu(), "n_accepted": int(self._n_accepted)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with saved values; of a window of another size the newest that fit are kept."""
        size, old, n = len(self._places), state["values"], state["n_accepted"]
        device = self._values.device
        if old.shape[1] != size:
            ages = torch.arange(max(0, n - min(size, old.shape[1])), n)
            values = torch.zeros(2, size)
            values[:, ages % size] = old[:, ages % old.shape[1]]
            old = values
        self._values = old.to(device)
        self._n_accepted = torch.tensor(n, device=device)
