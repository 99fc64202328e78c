"""Bringing the vectors of a matrix back to length 1, wherever its parts lie."""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

from lightning_transformer.distributed.local_part import local

ROUNDINGS = 4  # of the weight's precision: a length that is off by no more is left as it is


@torch.no_grad()
def normalise_(weight: Tensor, dim: int) -> None:
    """Divide each vector along `dim` of a matrix by its length, in place; call on all processes.

    A length of 1 up to a few roundings stays, so that doing it again changes nothing. Lengths are
    computed in float32 at least. A vector of zeros stays.
    """
    part = local(weight)
    wide = torch.promote_types(part.dtype, torch.float32)
    length = torch.linalg.vector_norm(part, dim=dim, keepdim=True, dtype=wide)
    if isinstance(weight, DTensor):
        length = _over_processes(length, weight, dim)
    rounding = ROUNDINGS * torch.finfo(part.dtype).eps
    divisor = torch.where((length - 1).abs() > rounding, length, 1.0)
    part.copy_(part / divisor.clamp(min=torch.finfo(part.dtype).tiny))


def _over_processes(length: Tensor, weight: DTensor, dim: int) -> Tensor:
    """Lengths of whole vectors, from those of the parts that this process holds."""
    squared = length.square()
    for mesh_dim, placement in enumerate(weight.placements):
        assert not placement.is_partial(), "a weight that has not been summed"
        # By attribute, for strided shards too, which fsdp2 makes of what tp has cut.
        if getattr(placement, "dim", None) == dim:
            dist.all_reduce(squared, group=weight.device_mesh.get_group(mesh_dim))
    return squared.sqrt()
