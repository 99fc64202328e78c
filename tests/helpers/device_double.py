"""A device without float64, played by the CPU.

Tensors are on the device once they are moved there (`put`, or a call that names a device), and
so is what is computed from them. `.cpu()` brings them back, as `.tolist()` and `float()` do. A
float64 number on the device, or one that meets a tensor there, is refused, as on an Apple GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lightning_transformer.nn.position import base


class Float64OnDevice(RuntimeError):
    """Not a TypeError, which operators such as + take for an operand they do not know."""


class Device:
    """Knows which tensors are on the device, by their memory."""

    def __init__(self) -> None:
        self._memory: dict[int, StorageWeakRef] = {}

    def holds(self, tensor: Tensor) -> bool:
        memory = StorageWeakRef(tensor.untyped_storage())
        known = self._memory.get(memory.cdata)
        return known is not None and not known.expired()

    def put(self, found: Any) -> Any:
        """Have all tensors in a structure on the device; refuses float64."""
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor):
                if tensor.dtype == torch.float64:
                    raise Float64OnDevice("float64 on a device that has none")
                memory = StorageWeakRef(tensor.untyped_storage())
                self._memory[memory.cdata] = memory
        return found


class _Results(TorchDispatchMode):
    """What is computed from tensors on the device is there, in the backward pass too."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, Tensor)]
        if any(map(self.device.holds, tensors)):
            if any(x.dtype == torch.float64 for x in tensors):
                raise Float64OnDevice(f"{func} has float64 on a device that has none")
            self.device.put(out)
        return out


class _Calls(TorchFunctionMode):
    """Calls that name a device put what they return there; `.cpu()` takes it back."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.cpu:
            return torch.from_numpy(args[0].detach().numpy().copy())
        out = func(*args, **kwargs)
        named = kwargs.get("device") is not None
        moved = func is Tensor.to and any(isinstance(x, torch.device) for x in args[1:])
        return self.device.put(out) if named or moved else out


@contextmanager
def without_float64(monkeypatch: pytest.MonkeyPatch, model: nn.Module) -> Iterator[Device]:
    """Within, the model is on a device that has no float64."""
    device = Device()
    device.put([*model.parameters(), *model.buffers()])
    with monkeypatch.context() as patch, _Results(device), _Calls(device):
        patch.setattr(base, "WITHOUT_FLOAT64", {"cpu"})
        yield device
