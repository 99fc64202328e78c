"""Skip an update without a device synchronisation: torch's `found_inf` for any optimizer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lightning_transformer.distributed.local_part import local


@torch.no_grad()
def step_unless(optimizer: Any, skip: Tensor) -> None:
    """Do a step that leaves parameters and state unchanged where skip (0-d) is not 0.

    Fused optimizers support this themselves. With others each parameter and its state is copied
    before its update, one at a time, so that the largest one bounds the extra memory.
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
                with unchanged_where(skip > 0, optimizer, parameter):
                    optimizer.step()
            group["params"] = []
    finally:
        for group, parameters in zip(optimizer.param_groups, taken, strict=True):
            group["params"] = parameters


@contextmanager
def unchanged_where(skip: Tensor, optimizer: Any, parameter: Tensor) -> Iterator[None]:
    """Within, the parameter is updated; afterwards it and its state are as before where skip."""
    before = {name: value.clone() for name, value in _tensors(optimizer, parameter).items()}
    yield
    for name, value in _tensors(optimizer, parameter).items():
        # What the first step makes begins with zeros.
        old = before.get(name, torch.zeros_like(value))
        value.copy_(torch.where(skip, old, value))


def _tensors(optimizer: Any, parameter: Tensor) -> dict[str, Tensor]:
    """A parameter and its state; of shards, this process's."""
    found = {"": parameter, **optimizer.state.get(parameter, {})}
    return {name: local(value) for name, value in found.items() if isinstance(value, Tensor)}
