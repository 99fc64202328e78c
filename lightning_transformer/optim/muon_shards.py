"""Muon for matrices of which each process holds a part."""

from collections.abc import Callable
from typing import Any

import torch

from lightning_transformer.optim.orthogonal import cut_as, orthogonal_step


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
                p.add_(cut_as(p, orthogonal_step(update.full_tensor(), group, group["lr"])))
