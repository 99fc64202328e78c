"""One step of torch's Muon by itself."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor


def orthogonal_step(update: Tensor, group: dict[str, Any], lr: float) -> Tensor:
    """What torch's Muon adds to a whole matrix (out, in) whose momentum gives this update."""
    moved = nn.Parameter(torch.zeros_like(update))
    moved.grad = update
    options = {key: group[key] for key in ("ns_coefficients", "ns_steps", "eps", "adjust_lr_fn")}
    once = torch.optim.Muon([moved], lr=lr, momentum=0.0, weight_decay=0.0, **options)
    once.step()
    return moved.detach()


def cut_as(like: Tensor, whole: Tensor) -> Tensor:
    """This process's part of a tensor that all have, where `like` is cut."""
    if not isinstance(like, DTensor):
        return whole
    # Every process has it all: nothing is sent.
    return distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)
