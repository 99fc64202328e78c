"""The loss of a head's scores without keeping them: some rows at a time, gradient included."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lightning_transformer.nn.linear import Head
from lightning_transformer.nn.loss.cross_entropy import LossSums

# Measured on a CPU for 500 to 50,000 classes: fewer rows make slow products, more scores leave
# the cache of the processor.
MIN_ROWS = 128
MAX_SCORES = 2**21
_PART = 2048  # classes whose gradient is added up at a time, where it comes in 16 bits


def rows_at_a_time(n_classes: int) -> int:
    """How many rows of scores `head_loss` computes together: as many as 8 MiB of float32 hold.

    At least 128. A rule of the shape alone, so that no number depends on the load of a machine.
    """
    return max(MIN_ROWS, MAX_SCORES // n_classes)


def head_loss(head: Head, loss: nn.Module, features: Tensor, labels: Tensor) -> LossSums:
    """loss(head(features), labels), the same sums and gradients, in less memory.

    On a CPU, above `rows_at_a_time` rows, scores are made for so many rows at a time, and turned
    into the gradient of their products at once, so that (N, V) never exists; no product is computed
    twice. The loss has to be a sum over rows, as `LossSums` says. Sums over parts differ from those
    over all by rounding; the weight's gradient is summed in float32 at least, also under autocast,
    where each part of it has the rounding of 16 bits. Second derivatives are refused.

    All rows together: on other devices (not measured there), in float16 (whose range needs the
    loss scaled before its gradient) and for heads that have hooks or compute otherwise.

    F.linear_cross_entropy of torch 2.13 is neither exact under autocast nor as fast on a CPU, and
    has no label smoothing, z-loss or soft-cap.

    Shape: features (N, D), labels (N,) -> `LossSums`.
    """
    n_rows = rows_at_a_time(head.out_features)
    if len(features) <= n_rows or not _can_part(head, features):
        sums: LossSums = loss(head(features), labels)
        return sums
    if not torch.is_grad_enabled():
        parts = zip(features.split(n_rows), labels.split(n_rows), strict=True)
        each = [loss(head(x), y) for x, y in parts]
        return LossSums(*(torch.stack(values).sum() for values in zip(*each, strict=True)))

    def score(products: Tensor, labels: Tensor) -> LossSums:
        found: LossSums = loss(head.finish(products), labels)
        return found

    scale = () if head.score_scale is None else tuple(head.score_scale.parameters())
    inputs, others = head.inputs(features), (*scale, *loss.parameters())
    found = _InParts.apply(inputs, head.weight, head.bias, labels, score, n_rows, *others)
    return LossSums(*found)


def _can_part(head: Head, features: Tensor) -> bool:
    hooked = head._forward_hooks or head._forward_pre_hooks
    plain = type(head).forward is Head.forward and not hooked
    on_cpu = features.device.type == "cpu"
    return on_cpu and plain and _product_dtype(features) != torch.float16


class _InParts(torch.autograd.Function):
    """Sums over rows of score(x W^T + b, labels), with all gradients made in the forward pass.

    They are right for a factor of 1, so that the backward pass has only to multiply them.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        score: Callable[[Tensor, Tensor], LossSums],
        n_rows: int,
        *others: Tensor,
    ) -> tuple[Tensor, Tensor]:
        dtype = _product_dtype(x)
        needed = (*ctx.needs_input_grad[:3], *ctx.needs_input_grad[6:])
        of_x, *of_weights = (
            _zeros(p) if p is not None and wanted else None
            for p, wanted in zip((x, weight, bias, *others), needed, strict=True)
        )
        of_weight, of_bias, *of_others = of_weights
        trained = [p for p in others if p.requires_grad]
        cast, cast_bias = weight.to(dtype), None if bias is None else bias.to(dtype)
        objectives, nlls = [], []
        for start in range(0, len(x), n_rows):
            rows = slice(start, start + n_rows)
            inputs = x[rows].to(dtype)
            products = F.linear(inputs, cast, cast_bias).requires_grad_()
            with torch.enable_grad():
                objective, nll = score(products, labels[rows])
            found = torch.autograd.grad(objective, (products, *trained), materialize_grads=True)
            objectives.append(objective.detach())
            nlls.append(nll)
            if of_x is not None:
                of_x[rows] = found[0] @ cast
            if of_weight is not None:
                _add_product(of_weight, found[0], inputs)
            if of_bias is not None:
                of_bias += found[0].sum(dim=0, dtype=of_bias.dtype)
            for total, part in zip((g for g in of_others if g is not None), found[1:], strict=True):
                total += part
        ctx.gradients = of_x, of_weight, of_bias, None, None, None, *of_others
        nll_sum = torch.stack(nlls).sum()
        ctx.mark_non_differentiable(nll_sum)
        return torch.stack(objectives).sum(), nll_sum

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_objective: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            raise RuntimeError("the gradient of head_loss was used already: it is kept for one use")
        return tuple(None if g is None else g.mul_(by_objective) for g in gradients)


def _product_dtype(x: Tensor) -> torch.dtype:
    """The dtype in which features are multiplied with weights: that of autocast, where it is on."""
    device = x.device.type
    if torch.is_autocast_enabled(device) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(device)
    return x.dtype


def _zeros(tensor: Tensor) -> Tensor:
    """Zeros to add gradients up in."""
    return torch.zeros_like(tensor, dtype=torch.promote_types(tensor.dtype, torch.float32))


def _add_product(total: Tensor, by_products: Tensor, inputs: Tensor) -> None:
    """Add by_products^T inputs, (N, V) and (N, D), to total (V, D)."""
    if total.dtype == by_products.dtype:
        total.addmm_(by_products.t(), inputs)
        return
    # Few classes at a time: their sum is then still in the cache when it is added.
    for start in range(0, len(total), _PART):
        classes = slice(start, start + _PART)
        total[classes].add_(by_products[:, classes].t() @ inputs)
