"""Muon's orthogonalised step: of matrices stacked by shape, of shards, and with normalised rows."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from lightning_transformer.distributed.local_part import full, local, shard_as
from lightning_transformer.hardware import processor

_EPS = 1e-10  # of the source: under roots and norms of what is all zeros
_MUON = {  # the defaults of torch.optim.Muon
    "nesterov": True,
    "ns_coefficients": (3.4445, -4.7750, 2.0315),
    "ns_steps": 5,
    "adjust_lr_fn": None,
}
# Numbers in one stack. On a CPU more than its cache holds would be slower than one after the other:
# measured from 128 x 128 to 384 x 384. A GPU has work for all its parts from larger ones alone.
_STACK_CPU, _STACK = 2**18, 2**24


class StackedMuon(torch.optim.Muon):
    """`torch.optim.Muon`, orthogonalising matrices of one shape together.

    torch's takes one matrix after the other: at d_model 128 twice as slow on a CPU. Where the
    processor has no bfloat16 the iterations are in float32 (see `newton_schulz_dtype`).

    Of DTensors it computes the update that one process would: orthogonalising needs the full
    matrices, so those of one stack are gathered, orthogonalised on every process alike, and sharded
    again. Momentum stays sharded.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        assert closure is None, "MuonWithAdamW calls it"
        for group in self.param_groups:
            for p, update in _orthogonalised(self, group):
                _decay(p, group)
                own = local(shard_as(p, update))
                local(p).add_(own, alpha=-group["lr"] * _scale(p))


class RowNormalisedMuon(torch.optim.Optimizer):
    """Divide each row of Muon's update by its running root mean square, keeping the norm of all.

    With O the update of `StackedMuon` at lr = 1 and v one number per row::

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
            for p, update in _orthogonalised(self, group):
                self._update(group, p, _scale(p) * update.to(p.dtype))

    def _update(self, group: dict[str, Any], p: Tensor, step: Tensor) -> None:
        state = self.state[p]
        if "row_squares" not in state:
            all_rows = torch.zeros(p.shape[0], 1, dtype=p.dtype, device=p.device)
            state["row_squares"] = all_rows
        squares = step.square().mean(dim=1, keepdim=True)
        state["row_squares"].lerp_(squares, 1 - group["row_beta2"])
        scaled = step / (state["row_squares"].sqrt() + _EPS)
        scaled *= step.norm() / (scaled.norm() + _EPS)
        _decay(p, group)
        local(p).add_(local(shard_as(p, scaled)), alpha=-group["lr"])


def newton_schulz(x: Tensor, coefficients: Sequence[float], n_steps: int, eps: float) -> Tensor:
    """Bring the singular values of matrices near 1, keeping their axes (Jordan et al. 2024).

    n_steps times x = a x + (b A + c A^2) x with A = x x^T, from x / max(norm(x), eps). In the dtype
    of x. For one matrix the operations of torch's Muon, to the bit. Shape: ([N,] out, in) -> same.
    """
    a, b, c = coefficients
    add_product = torch.addmm if x.ndim == 2 else torch.baddbmm
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True).clamp(min=eps)
    for _ in range(n_steps):
        gram = x @ x.mT
        x = add_product(x, add_product(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def newton_schulz_dtype(device: torch.device) -> torch.dtype:
    """bfloat16, as in torch, but float32 on a processor that has to imitate it."""
    imitates = device.type == "cpu" and not processor.has_bf16()
    return torch.float32 if imitates else torch.bfloat16


def _orthogonalised(
    optimizer: torch.optim.Optimizer, group: dict[str, Any]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Each parameter with a gradient, and its full update, of which momentum has been taken."""
    options = (group["ns_coefficients"], group["ns_steps"], group["eps"])
    for stack in _stacks([p for p in group["params"] if p.grad is not None]):
        dtype = newton_schulz_dtype(stack[0].device)
        updates = [full(_momentum(optimizer.state[p], group, p)).to(dtype) for p in stack]
        if len(stack) == 1:
            yield stack[0], newton_schulz(updates[0], *options)
            continue
        yield from zip(stack, newton_schulz(torch.stack(updates), *options), strict=True)


def _stacks(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Those of one shape together, as many as one stack holds; the same on every process."""
    shapes: dict[tuple[torch.Size, torch.device], list[Tensor]] = {}
    for p in parameters:
        shapes.setdefault((p.shape, p.device), []).append(p)
    for alike in shapes.values():
        most = _STACK_CPU if alike[0].device.type == "cpu" else _STACK
        n = max(1, most // alike[0].numel())
        for first in range(0, len(alike), n):
            yield alike[first : first + n]


def _momentum(state: dict[str, Any], group: dict[str, Any], p: Tensor) -> Tensor:
    """The running mean of gradients with this one in it, in Nesterov's form."""
    assert p.grad is not None
    if "momentum_buffer" not in state:
        state["momentum_buffer"] = torch.zeros_like(p.grad)
    momentum, buffer = group["momentum"], state["momentum_buffer"]
    buffer.lerp_(p.grad, 1 - momentum)
    update = p.grad.lerp(buffer, momentum) if group["nesterov"] else buffer
    assert isinstance(update, DTensor) == isinstance(p, DTensor)
    return update


def _decay(p: Tensor, group: dict[str, Any]) -> None:
    if group["weight_decay"]:
        local(p).mul_(1 - group["lr"] * group["weight_decay"])


def _scale(p: Tensor) -> float:
    """sqrt(max(1, out / in)), which keeps the size of what the layer passes on (Jordan 2024)."""
    return max(1.0, p.shape[0] / p.shape[1]) ** 0.5
