"""The part of a tensor that this process holds, and the tensor that all parts make."""

from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def local(tensor: Tensor) -> Tensor:
    """Of a DTensor this process's part, else the tensor; what is written to it is written there.

    Enough for an update that looks at each number by itself.
    """
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def full(tensor: Tensor) -> Tensor:
    """Of a DTensor the tensor that its parts make, on every process; else the tensor."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shard_as(like: Tensor, full_tensor: Tensor) -> Tensor:
    """Shard a tensor that every process has as `like` is sharded; nothing is sent."""
    if not isinstance(like, DTensor):
        return full_tensor
    mesh, placements = like.device_mesh, like.placements
    return distribute_tensor(full_tensor, mesh, placements, src_data_rank=None)
