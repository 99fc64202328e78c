"""Division by the root mean square, as all norms that do it share it."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.tensor import DTensor


def rms_norm(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """y = x / sqrt(mean(x^2) + eps) * weight over the last dimension, computed in float32 at least.

    Shape: x (..., dim), weight (dim,) or None -> (..., dim), of x's dtype.
    """
    if not _has_slow_backward(x) and (weight is None or x.dtype == weight.dtype):
        y = F.rms_norm(x, x.shape[-1:], weight, eps)  # adds up in float32 itself
        # Of a weight that is gathered in 16 bits, autocast on a GPU makes float32.
        return y if weight is None else y.to(x.dtype)
    wide = torch.promote_types(x.dtype, torch.float32)
    gain = None if weight is None else weight.to(wide)
    if _has_slow_backward(x):
        y = _RMSNorm.apply(x.to(wide), gain, eps)
        assert isinstance(y, Tensor)
    else:  # for two dtypes, as of autocast, torch has no kernel
        y = F.rms_norm(x.to(wide), x.shape[-1:], gain, eps)
    return y.to(x.dtype)


# Numbers of x. Below, calls cost more than passes: 1.2 of torch's time at 2048, 0.5 at 98,304.
FUSED_FROM = 16384


def _has_slow_backward(x: Tensor) -> bool:
    """Where torch computes the gradient operation by operation: on a CPU that compiles nothing."""
    eager = not torch.compiler.is_compiling() and torch.is_grad_enabled()
    plain = x.device.type == "cpu" and not isinstance(x, DTensor)
    return eager and plain and x.numel() >= FUSED_FROM


class _RMSNorm(torch.autograd.Function):
    """The same values and gradients in few passes over x.

    With g = weight * dy, y' = x / rms: dx = (g - y' mean(g y')) / rms. The kernel of layer norm's
    gradient gives that when it is told a mean of 0, but for - mean(g) / rms, which is added again.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        inverse = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, inverse)
        ctx.eps = eps
        y = x * inverse
        return y if weight is None else y.mul_(weight)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, inverse = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is to be differentiated in turn
            inputs = [t for t, due in zip((x, weight), ctx.needs_input_grad, strict=False) if due]
            y = F.rms_norm(x, x.shape[-1:], weight, ctx.eps)
            found = iter(torch.autograd.grad(y, inputs, dy, create_graph=True))
            return *(next(found) if due else None for due in ctx.needs_input_grad[:2]), None
        dy, dim = dy.contiguous(), x.shape[-1]
        due = [ctx.needs_input_grad[0], ctx.needs_input_grad[1], False]
        zero = torch.zeros_like(inverse)
        dx, dweight, _ = torch.ops.aten.native_layer_norm_backward(
            dy, x, (dim,), zero, inverse, weight, None, due
        )
        if dx is not None:
            total = dy.sum(-1, keepdim=True) if weight is None else (dy @ weight).unsqueeze(-1)
            dx.add_(total.mul_(inverse).div_(dim))
        return dx, dweight, None
