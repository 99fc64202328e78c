"""The global norm of a gradient of which each process may hold a part, and clipping by it."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from lightning_transformer.distributed.local_part import local

_EPS = 1e-6  # as in torch.nn.utils.clip_grad_norm_


@torch.no_grad()
def global_norm(parameters: Sequence[Tensor]) -> Tensor:
    """sqrt(sum over all gradients of g^2), 0-d, the same on every process; waits for no device.

    Gradients may be plain tensors, which are taken to be the same on all processes, and DTensors
    of any meshes and placements, side by side.
    """
    grads = [p.grad for p in parameters if p.grad is not None]
    if not any(isinstance(grad, DTensor) for grad in grads):
        return nn.utils.get_total_norm(grads)
    return torch.stack([_sum_of_squares(part) for part in _alike(grads)]).sum().sqrt()


@torch.no_grad()
def add_up_parts(parameters: Sequence[Tensor]) -> None:
    """Add up gradients of which each process has a summand, as a weight that heads share leaves.

    Autograd leaves them as they are, and one sum per step is less than one per backward pass.
    """
    for p in parameters:
        grad = p.grad
        if isinstance(grad, DTensor) and any(place.is_partial() for place in grad.placements):
            assert isinstance(p, DTensor)
            p.grad = grad.redistribute(placements=p.placements)


@torch.no_grad()
def clip_with_norm(parameters: Sequence[Tensor], max_norm: float, norm: Tensor) -> None:
    """Scale all gradients by min(1, max_norm / (norm + 1e-6)), with the `global_norm` of them.

    torch.nn.utils.clip_grad_norm_ refuses plain gradients beside DTensors, which is what tensor
    parallelism leaves.
    """
    grads = [p.grad for p in parameters if p.grad is not None]
    if not any(isinstance(grad, DTensor) for grad in grads):
        nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
        return
    scale = (max_norm / (norm + _EPS)).clamp(max=1.0)
    for group in _local_groups(grads):
        torch._foreach_mul_(group, scale)


@torch.no_grad()
def clip_values(parameters: Sequence[Tensor], limit: float) -> None:
    """Bring each number of all gradients into [-limit, limit].

    As torch.nn.utils.clip_grad_value_, which does not take plain gradients beside DTensors.
    """
    for group in _local_groups([p.grad for p in parameters if p.grad is not None]):
        torch._foreach_clamp_min_(group, -limit)
        torch._foreach_clamp_max_(group, limit)


def _local_groups(grads: Sequence[Tensor]) -> list[list[Tensor]]:
    """The parts that are here, those of one device and type together."""
    groups: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for grad in map(local, grads):
        groups.setdefault((grad.device, grad.dtype), []).append(grad)
    return list(groups.values())


def _alike(grads: Sequence[Tensor]) -> list[list[Tensor]]:
    """Gradients that lie on the processes in the same way, together."""
    kinds: dict[object, list[Tensor]] = {}
    for grad in grads:
        kind = (grad.device_mesh, grad.placements) if isinstance(grad, DTensor) else None
        kinds.setdefault(kind, []).append(grad)
    return list(kinds.values())


@torch.no_grad()
def norms_of_parts(parts: Sequence[Tensor], like: Sequence[Tensor]) -> list[Tensor]:
    """The norm, 0-d, of each tensor of which this process has a part; waits for no device.

    like: for each part a tensor that is cut over the processes in the same way, or not at all.
    """
    norms = torch._foreach_norm(list(parts))
    wide = [norm.to(torch.promote_types(norm.dtype, torch.float32)) for norm in norms]
    squares = [norm.square() for norm in wide]
    return [_over_processes(one, tensor).sqrt() for one, tensor in zip(squares, like, strict=True)]


def _sum_of_squares(grads: list[Tensor]) -> Tensor:
    """Of gradients that are all plain or all lie alike, over all processes."""
    norms = torch.stack(torch._foreach_norm([local(grad) for grad in grads]))
    # Each process adds other numbers; in bfloat16 the sum would depend on how they are cut.
    total = norms.to(torch.promote_types(norms.dtype, torch.float32)).square().sum()
    return _over_processes(total, grads[0])


def _over_processes(total: Tensor, like: Tensor) -> Tensor:
    """The sum, in place, of a number that each process has of its part of `like`."""
    if isinstance(like, DTensor):
        for dim, placement in enumerate(like.placements):
            assert not placement.is_partial(), "a gradient that has not been summed"
            if not placement.is_replicate():
                dist.all_reduce(total, group=like.device_mesh.get_group(dim))
    return total
