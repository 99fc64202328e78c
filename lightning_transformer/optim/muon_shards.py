"""Muon for matrices of which each process holds a part."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor


class MuonOfShards(torch.optim.Muon):
    """`torch.optim.Muon` on DTensors, with the update that one process would compute.

    Orthogonalising needs the whole matrix, and torch does it in bfloat16, where adding up parts in
    another order is another result. So the update of one matrix at a time is gathered, made
    orthogonal on every process alike, and cut again. Momentum stays cut.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        assert closure is None, "MuonWithAdamW calls it"
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(p.grad)
                momentum, buffer = group["momentum"], state["momentum_buffer"]
                buffer.lerp_(p.grad, 1 - momentum)
                update = p.grad.lerp(buffer, momentum) if group["nesterov"] else buffer
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(_cut(_orthogonal_step(update.full_tensor(), group), p))


def _orthogonal_step(update: Tensor, group: dict[str, Any]) -> Tensor:
    """What torch's Muon adds to a matrix whose momentum gives this update."""
    moved = nn.Parameter(torch.zeros_like(update))
    moved.grad = update
    options = {key: group[key] for key in ("ns_coefficients", "ns_steps", "eps", "adjust_lr_fn")}
    once = torch.optim.Muon([moved], lr=group["lr"], momentum=0.0, weight_decay=0.0, **options)
    once.step()
    return moved.detach()


def _cut(whole: Tensor, like: DTensor) -> DTensor:
    # Every process has it all: nothing is sent.
    return distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)
