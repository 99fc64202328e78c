"""Adan: Adam with a mean of gradient differences."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lightning_transformer.distributed.local_part import local
from lightning_transformer.optim.masked_optimizer import MaskedOptimizer, gradients, unbiasing
from lightning_transformer.optim.param_groups import param_groups
from lightning_transformer.optim.torch_optimizer import check_options


class Adan(MaskedOptimizer):
    """With d the change of the gradient g since the last step, 0 at the first::

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * d
        n = beta3 * n + (1 - beta3) * (g + beta2 * d) ** 2
        w = (w - lr * (m_hat + beta2 * v_hat) / (sqrt(n_hat) + eps)) / (1 + lr * weight_decay)

    A hat divides by 1 - beta ** t.
    """

    kept = ("exp_avg", "exp_avg_diff", "exp_avg_sq", "last_grad")

    def update(self, group: dict[str, Any], parameters: Sequence[Tensor]) -> None:
        (beta1, beta2, beta3), lr = group["betas"], group["lr"]
        weights, grads = [local(p) for p in parameters], gradients(parameters)
        steps = self.parts(parameters, "step")
        means, changes, squares, last = (self.parts(parameters, name) for name in self.kept)
        differences = torch._foreach_sub(grads, last)
        later = [(step > 1).to(g.dtype) for step, g in zip(steps, grads, strict=True)]
        torch._foreach_mul_(differences, later)
        torch._foreach_lerp_(means, grads, 1 - beta1)
        torch._foreach_lerp_(changes, differences, 1 - beta2)
        torch._foreach_mul_(differences, beta2)
        torch._foreach_add_(differences, grads)
        torch._foreach_mul_(squares, beta3)
        torch._foreach_addcmul_(squares, differences, differences, value=1 - beta3)
        roots = torch._foreach_sqrt(torch._foreach_div(squares, unbiasing(steps, beta3, grads)))
        torch._foreach_add_(roots, group["eps"])
        updates = torch._foreach_div(changes, unbiasing(steps, beta2, grads))
        torch._foreach_mul_(updates, beta2)
        torch._foreach_add_(updates, torch._foreach_div(means, unbiasing(steps, beta1, grads)))
        torch._foreach_div_(updates, roots)
        torch._foreach_add_(weights, updates, alpha=-lr)
        torch._foreach_div_(weights, 1 + lr * group["weight_decay"])
        torch._foreach_copy_(last, grads)


def adan(
    model: nn.Module,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.02,
    decay_all: bool = False,
    beta1: float = 0.98,
    beta2: float = 0.92,
    beta3: float = 0.99,
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    """Build Adan, which looks ahead by how the gradient changes: see `Adan`.

    The authors advise rates 5 to 10 times AdamW's. Decay is decoupled and implicit: weights are
    divided after the update. Memory: four states per weight, AdamW has two.

    Source: Xie et al. 2022, algorithm 1, whose betas are 1 minus these, without restarts; bias
    correction as in the authors' code.

    Options as in `torch_optimizer`. beta1, beta2, beta3: decay rates of the mean of gradients, of
    their differences, and of squares, [0, 1).
    """
    betas = {"beta1": beta1, "beta2": beta2, "beta3": beta3}
    check_options(adan, lr=lr, weight_decay=weight_decay, eps=eps, **betas)
    groups = param_groups(model, weight_decay, decay_all=decay_all)
    return Adan(groups, {"lr": lr, "betas": tuple(map(float, betas.values())), "eps": eps})
