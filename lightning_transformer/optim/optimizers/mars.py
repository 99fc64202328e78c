"""MARS: AdamW on gradients of reduced variance."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lightning_transformer.distributed.grad_norm import norms_of_parts
from lightning_transformer.distributed.local_part import local
from lightning_transformer.optim.masked_optimizer import MaskedOptimizer, gradients, unbiasing
from lightning_transformer.optim.param_groups import param_groups
from lightning_transformer.optim.torch_optimizer import check_options


class MARS(MaskedOptimizer):
    """AdamW on c in place of the gradient g, with g_last the gradient of the last step::

        c = g + gamma * beta1 / (1 - beta1) * (g - g_last)
        c = c / max(1, norm(c)), the norm over each tensor

    Before the first step g_last is 0.
    """

    kept = ("exp_avg", "exp_avg_sq", "last_grad")

    def update(self, group: dict[str, Any], parameters: Sequence[Tensor]) -> None:
        (beta1, beta2), lr = group["betas"], group["lr"]
        weights, grads = [local(p) for p in parameters], gradients(parameters)
        steps = self.parts(parameters, "step")
        means, squares, last = (self.parts(parameters, name) for name in self.kept)
        corrected = torch._foreach_sub(grads, last)
        torch._foreach_mul_(corrected, group["gamma"] * beta1 / (1 - beta1))
        torch._foreach_add_(corrected, grads)
        norms = norms_of_parts(corrected, parameters)
        torch._foreach_div_(corrected, torch._foreach_clamp_min(norms, 1.0))
        torch._foreach_lerp_(means, corrected, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, corrected, corrected, value=1 - beta2)
        roots = torch._foreach_sqrt(torch._foreach_div(squares, unbiasing(steps, beta2, grads)))
        torch._foreach_add_(roots, group["eps"])
        updates = torch._foreach_div(means, unbiasing(steps, beta1, grads))
        torch._foreach_div_(updates, roots)
        torch._foreach_mul_(weights, 1 - lr * group["weight_decay"])
        torch._foreach_add_(weights, updates, alpha=-lr)
        torch._foreach_copy_(last, grads)


def mars(
    model: nn.Module,
    *,
    lr: float = 3e-3,
    weight_decay: float = 0.01,
    decay_all: bool = False,
    beta1: float = 0.95,
    beta2: float = 0.99,
    gamma: float = 0.025,
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    """Build MARS-AdamW: AdamW on gradients corrected by their last change, see `MARS`.

    Memory: three states per weight, AdamW has two.

    Source: Yuan et al. 2024, algorithm 2, in its approximate form: g_last is the gradient of the
    last batch, where the exact form computes that of this batch at the last weights, a second
    forward and backward pass. All tensors are corrected; the authors' code leaves those of one
    dimension to AdamW.

    Options as in `torch_optimizer`. gamma: how much of the correction is applied, at least 0; 0 is
    AdamW on clipped gradients.
    """
    options = {"lr": lr, "gamma": gamma, "eps": eps}
    check_options(mars, weight_decay=weight_decay, beta1=beta1, beta2=beta2, **options)
    groups = param_groups(model, weight_decay, decay_all=decay_all)
    return MARS(groups, {**options, "betas": (float(beta1), float(beta2))})
