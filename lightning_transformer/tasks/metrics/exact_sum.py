"""Sums of many numbers that lie on a device, without its rounding and without its float64."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def parts_of(number: Tensor) -> Tensor:
    """A 0-d number as one or two float32 numbers (n,), whose sum is exact to 48 bits.

    Apple's GPUs have no float64, and what processes send each other is to be of one kind.
    """
    high = number.detach().float()
    if number.dtype in (torch.float32, torch.float16, torch.bfloat16):
        return high.reshape(1)
    low = (number - high.to(number.dtype)).float()
    return torch.stack((high, torch.where(high.isfinite(), low, 0.0)))


def exact_sum(parts: Sequence[Tensor]) -> float:
    """The sum of all numbers in tensors (n,), rounded once, to float64; waits for the device."""
    numbers = torch.cat(list(parts)).tolist() if parts else []
    try:
        return math.fsum(numbers)
    except ValueError:  # infinities of both signs
        return math.nan
