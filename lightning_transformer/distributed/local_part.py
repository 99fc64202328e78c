"""The part of a tensor that this process holds."""

from torch import Tensor
from torch.distributed.tensor import DTensor


def local(tensor: Tensor) -> Tensor:
    """Of a DTensor this process's part, else the tensor; what is written to it is written there.

    Enough for an update that looks at each number by itself.
    """
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
