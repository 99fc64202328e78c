"""Leaving out an update without asking the device: torch's `found_inf`, for any optimizer."""

from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor


@torch.no_grad()
def step_unless(optimizer: Any, skip: Tensor) -> None:
    """Do a step that leaves parameters and state as they are where skip (0-d) is not 0.

    Fused optimizers do so themselves. With others each parameter and its state is kept while it is
    updated, one at a time, so that no more memory is needed than for the largest.
    """
    if getattr(optimizer, "_step_supports_amp_scaling", False):
        optimizer.found_inf = skip
        optimizer.step()
        del optimizer.found_inf
        return
    taken = [group["params"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["params"] = []
    try:
        for group, parameters in zip(optimizer.param_groups, taken, strict=True):
            for parameter in parameters:
                group["params"] = [parameter]
                _step_one_unless(optimizer, parameter, skip > 0)
            group["params"] = []
    finally:
        for group, parameters in zip(optimizer.param_groups, taken, strict=True):
            group["params"] = parameters


def _step_one_unless(optimizer: Any, parameter: Tensor, skip: Tensor) -> None:
    before = {name: value.clone() for name, value in _tensors(optimizer, parameter).items()}
    optimizer.step()
    for name, value in _tensors(optimizer, parameter).items():
        # What the first step makes begins with zeros.
        old = before.get(name, torch.zeros_like(value))
        value.copy_(torch.where(skip, old, value))


def _tensors(optimizer: Any, parameter: Tensor) -> dict[str, Tensor]:
    """A parameter and its state; of shards, this process's."""
    found = {"": parameter, **optimizer.state.get(parameter, {})}
    return {
        name: value.to_local() if isinstance(value, DTensor) else value
        for name, value in found.items()
        if isinstance(value, Tensor)
    }
