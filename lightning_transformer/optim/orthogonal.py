"""Muon's orthogonalised step: alone, over shards, and with normalised rows."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lightning_transformer.distributed.local_part import full, shard_as

_EPS = 1e-10  # of the source: under roots and norms of what is all zeros
_MUON = {  # the defaults of torch.optim.Muon
    "nesterov": True,
    "ns_coefficients": (3.4445, -4.7750, 2.0315),
    "ns_steps": 5,
    "adjust_lr_fn": None,
}


def orthogonal_step(update: Tensor, group: dict[str, Any], lr: float) -> Tensor:
    """What torch's Muon adds to a full matrix (out, in) for this momentum update."""
    moved = nn.Parameter(torch.zeros_like(update))
    moved.grad = update
    options = {key: group[key] for key in ("ns_coefficients", "ns_steps", "eps", "adjust_lr_fn")}
    once = torch.optim.Muon([moved], lr=lr, momentum=0.0, weight_decay=0.0, **options)
    once.step()
    return moved.detach()


class MuonOfShards(torch.optim.Muon):
    """`torch.optim.Muon` on DTensors, with the update that one process would compute.

    Orthogonalising needs the full matrix, and torch does it in bfloat16, where another order of
    summation gives another result. So the update of one matrix at a time is gathered,
    orthogonalised on every process alike, and sharded again. Momentum stays sharded.
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
                p.add_(shard_as(p, orthogonal_step(full(update), group, group["lr"])))


class RowNormalisedMuon(torch.optim.Optimizer):
    """Divide each row of Muon's update by its running root mean square, keeping the norm of all.

    With O the update of `torch.optim.Muon` at lr = 1 and v one number per row::

        v = row_beta2 * v + (1 - row_beta2) * mean(O * O, over the row)
        U = O / sqrt(v);  w -= lr * (U * norm(O) / norm(U) + weight_decay * w)

    Of sharded matrices each process holds its part of the momentum and all of v.

    groups: of 2-D tensors, with lr, weight_decay, momentum, eps and row_beta2.
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__(groups, dict(_MUON))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        assert closure is None, "MuonWithAdamW calls it"
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(group, p, p.grad)

    def _update(self, group: dict[str, Any], p: Tensor, grad: Tensor) -> None:
        state, momentum = self.state[p], group["momentum"]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(grad)
            all_rows = torch.zeros(p.shape[0], 1, dtype=p.dtype, device=p.device)
            state["row_squares"] = all_rows
        buffer = state["momentum_buffer"]
        buffer.lerp_(grad, 1 - momentum)
        mean = grad.lerp(buffer, momentum)
        step = orthogonal_step(full(mean), group, lr=1.0)
        squares = step.square().mean(dim=1, keepdim=True)
        state["row_squares"].lerp_(squares, 1 - group["row_beta2"])
        scaled = step / (state["row_squares"].sqrt() + _EPS)
        scaled *= step.norm() / (scaled.norm() + _EPS)
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.add_(shard_as(p, scaled), alpha=group["lr"])
