"""Whether torch can update all parameters of a model in one fused kernel."""

from torch import nn

# device types for which torch 2.11 and later ship fused Adam kernels for floating-point tensors
_DEVICES = ("cpu", "cuda", "mps", "xpu")


def can_fuse(model: nn.Module) -> bool:
    """Say whether fused Adam takes every trainable parameter; without it only rounding differs."""
    return all(
        parameter.is_floating_point() and parameter.device.type in _DEVICES
        for parameter in model.parameters()
        if parameter.requires_grad
    )
